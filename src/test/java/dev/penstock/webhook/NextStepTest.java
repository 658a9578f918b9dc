package dev.penstock.webhook;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.JobFailure;
import dev.penstock.reply.WebhookDelay;
import dev.penstock.reply.WebhookRecord;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class NextStepTest {
    private static final Instant NOW = Instant.parse("2026-05-01T12:00:00Z");
    private final WebhookRecord record =
            TestRecords.announced("orders", "a", NOW).asValid();

    @ParameterizedTest
    @ValueSource(ints = {200, 201, 204, 299})
    void a_status_from_200_to_299_finishes_the_record(int status) {
        assertThat(NextStep.after(record, PostResult.ofStatus(status), NOW)).isEqualTo(new NextStep.Done());
    }

    @ParameterizedTest
    @ValueSource(ints = {100, 301, 302, 307, 400, 401, 404, 429, 500, 503})
    void any_other_status_is_posted_again_after_5_seconds(int status) {
        assertThat(NextStep.after(record, PostResult.ofStatus(status), NOW))
                .isEqualTo(new NextStep.PostLater(record.failedAgain(NOW.plusSeconds(5)), WebhookDelay.SECONDS));
    }

    @Test
    void a_receiver_that_is_gone_gets_no_further_post() {
        assertThat(NextStep.after(record, PostResult.ofStatus(410), NOW))
                .isInstanceOfSatisfying(NextStep.GiveUp.class, end -> {
                    assertThat(end.why().code()).isEqualTo(JobFailure.Code.WEBHOOK_FAILED);
                    assertThat(end.why().message()).contains("'orders' answered 410");
                });
    }

    @Test
    void the_pauses_grow_to_an_hour_and_end_within_a_day() {
        List<Duration> pauses = new ArrayList<>();
        WebhookRecord current = record;
        Instant now = NOW;
        NextStep step = NextStep.after(current, new PostResult.Failed("no"), now);
        while (step instanceof NextStep.PostLater(WebhookRecord later, WebhookDelay delay)) {
            pauses.add(delay.length());
            assertThat(later.dueAt()).isEqualTo(now.plus(delay.length()));
            assertThat(later.failed()).isEqualTo(current.failed() + 1);
            now = later.dueAt();
            current = later;
            step = NextStep.after(current, new PostResult.Failed("the receiver answered 503"), now);
        }

        assertThat(pauses.subList(0, 6))
                .containsExactly(
                        Duration.ofSeconds(5),
                        Duration.ofSeconds(30),
                        Duration.ofMinutes(2),
                        Duration.ofMinutes(10),
                        Duration.ofHours(1),
                        Duration.ofHours(1));
        assertThat(pauses).hasSize(27);
        assertThat(Duration.between(NOW, now)).isLessThan(Duration.ofHours(24)).isGreaterThan(Duration.ofHours(23));
        assertThat(step)
                .isInstanceOfSatisfying(
                        NextStep.GiveUp.class,
                        end -> assertThat(end.why().message())
                                .isEqualTo(
                                        "28 posts to webhook 'orders' failed within 24 h, the last one: the receiver answered 503"));
    }

    @Test
    void an_operators_retry_begins_the_day_anew() {
        WebhookRecord retried = record.failedAgain(NOW).anew(NOW.plus(Duration.ofDays(3)));

        assertThat(retried.failed()).isZero();
        assertThat(NextStep.after(retried, new PostResult.Failed("no"), NOW.plus(Duration.ofDays(3))))
                .isInstanceOf(NextStep.PostLater.class);
    }
}
