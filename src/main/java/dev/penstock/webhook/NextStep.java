package dev.penstock.webhook;

import dev.penstock.job.JobFailure;
import dev.penstock.reply.WebhookDelay;
import dev.penstock.reply.WebhookRecord;
import java.time.Duration;
import java.time.Instant;

/** What becomes of a webhook record after a post. */
sealed interface NextStep {
    /** The time after which no further post is made. */
    Duration LONGEST = Duration.ofHours(24);

    /** The record is finished. */
    record Done() implements NextStep {}

    /** The record is written once more, for a later post. */
    record PostLater(WebhookRecord record, WebhookDelay delay) implements NextStep {}

    /** The record becomes a dead letter. */
    record GiveUp(JobFailure why) implements NextStep {}

    /**
     * @param record the record that was posted
     * @param now when the post ended
     */
    static NextStep after(WebhookRecord record, PostResult result, Instant now) {
        return switch (result) {
            case PostResult.Taken() -> new Done();
            case PostResult.Gone() ->
                giveUp("the receiver of webhook '%s' answered 410: it wants no more posts".formatted(record.webhook()));
            case PostResult.Failed(String why) -> {
                WebhookDelay delay = WebhookDelay.after(record.failed() + 1);
                Instant due = now.plus(delay.length());
                yield due.isAfter(record.since().plus(LONGEST))
                        ? giveUp("%d posts to webhook '%s' failed within %d h, the last one: %s"
                                .formatted(record.failed() + 1, record.webhook(), LONGEST.toHours(), why))
                        : new PostLater(record.failedAgain(due), delay);
            }
        };
    }

    private static GiveUp giveUp(String why) {
        return new GiveUp(JobFailure.of(JobFailure.Code.WEBHOOK_FAILED, why));
    }
}
