package dev.penstock.webhook;

import dev.penstock.job.JobFailure;
import dev.penstock.kafka.KafkaClients;
import dev.penstock.reply.DeadLetters;
import dev.penstock.reply.WebhookDelay;
import dev.penstock.reply.WebhookRecord;
import dev.penstock.reply.WebhookTopic;
import dev.penstock.settings.Webhook;
import dev.penstock.wire.Reason;
import io.micrometer.core.instrument.MeterRegistry;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.KafkaException;
import org.jboss.logging.Logger;

/**
 * Delivers webhook records. Each delivery runs on a thread of its own, and ends when the record is posted, written again
 * for a later post, or a dead letter. Thread-safe.
 */
final class Deliveries {
    private static final Logger LOG = Logger.getLogger(Deliveries.class);
    /** How long a record waits for its turn. After that it is written again, so that it holds up no commit. */
    private static final Duration TURN_WITHIN = Duration.ofSeconds(5);

    private static final Duration WRITE_AGAIN = Duration.ofSeconds(1);
    /** The looks at the job, in quick succession, before the record is written again for a later look. */
    private static final int LOOKS = 6;

    private static final Duration FIRST_LOOK = Duration.ofMillis(50);

    private final Map<String, Webhook> webhooks;
    private final Parts parts;
    private final Clock clock;
    private final MeterRegistry meters;
    private final Lanes lanes;
    private final Map<String, Trouble> troubles = new ConcurrentHashMap<>();

    /**
     * @param looks tells the standing of an announced outcome, given its age
     * @param posts makes one post
     * @param pauses waits; returns false if the replica stops
     */
    record Parts(Looks looks, Posts posts, Pauses pauses, WebhookTopic topic, DeadLetters deadLetters) {}

    @FunctionalInterface
    interface Looks {
        Confirmation.Standing look(WebhookRecord record, Duration age) throws InterruptedException;
    }

    @FunctionalInterface
    interface Posts {
        PostResult post(Webhook webhook, WebhookRecord record, Instant now) throws InterruptedException;
    }

    @FunctionalInterface
    interface Pauses {
        boolean pause(Duration length) throws InterruptedException;
    }

    /** The failed posts of a webhook since its last success. */
    private record Trouble(int posts, Instant since, String why) {}

    /** @param bytes the largest size of the records in this replica */
    Deliveries(Map<String, Webhook> webhooks, Parts parts, Clock clock, MeterRegistry meters, long bytes) {
        this.webhooks = Map.copyOf(webhooks);
        this.parts = parts;
        this.clock = clock;
        this.meters = meters;
        lanes = new Lanes(webhooks.keySet(), bytes);
        webhooks.keySet().forEach(name -> {
            for (Result result : Result.values()) {
                count(name, result, 0);
            }
        });
    }

    /** The results that the metric counts. */
    private enum Result {
        /** The receiver took the outcome. */
        DELIVERED,
        /** A post failed, and another one follows. */
        RETRIED,
        /** The outcome became a dead letter. */
        FAILED;

        String wireName() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    private void count(String webhook, Result result, int more) {
        meters.counter("penstock.webhooks", "webhook", webhook, "result", result.wireName())
                .increment(more);
    }

    /** Returns a description of the failed posts of each webhook that has taken no outcome since, by its name. */
    Map<String, String> troubles() {
        Map<String, String> words = new TreeMap<>();
        troubles.forEach((name, trouble) -> words.put(
                name,
                "%d posts in a row have failed since %s, the last one: %s"
                        .formatted(trouble.posts(), trouble.since(), trouble.why())));
        return words;
    }

    /**
     * Delivers a record.
     *
     * @param raw the record as it came, for a dead letter
     * @return whether the record is finished; otherwise the replica stops, and another one delivers the record
     */
    boolean deliver(WebhookRecord record, ConsumerRecord<byte[], byte[]> raw) throws InterruptedException {
        Webhook webhook = webhooks.get(record.webhook());
        if (webhook == null) {
            // another replica may have the webhook, or get it with its next configuration
            return standing(record) == Confirmation.Standing.VOID
                    || finish(record, new PostResult.Failed("no replica that read the record has this webhook"), raw);
        }
        Optional<Lanes.Place> place =
                lanes.take(record.webhook(), record.event().get().length);
        if (place.isEmpty()) {
            return writeLater(record, WebhookDelay.SECONDS);
        }
        try (Lanes.Place held = place.get()) {
            return deliver(webhook, record, raw, held);
        }
    }

    private boolean deliver(
            Webhook webhook, WebhookRecord record, ConsumerRecord<byte[], byte[]> raw, Lanes.Place place)
            throws InterruptedException {
        return switch (record.valid() ? Confirmation.Standing.VALID : standing(record)) {
            case VOID -> {
                LOG.debugf("job=%s its announced outcome is void: it is not posted", record.id());
                yield true;
            }
            case OPEN -> {
                boolean young = age(record).compareTo(WebhookDelay.MINUTES.length()) < 0;
                yield writeLater(record, young ? WebhookDelay.SECONDS : WebhookDelay.MINUTES);
            }
            case VALID -> post(webhook, record.asValid(), raw, place);
        };
    }

    private boolean post(Webhook webhook, WebhookRecord record, ConsumerRecord<byte[], byte[]> raw, Lanes.Place place)
            throws InterruptedException {
        Optional<Lanes.Turn> turn = place.turn(TURN_WITHIN);
        if (turn.isEmpty()) {
            return writeLater(record, WebhookDelay.SECONDS);
        }
        PostResult result;
        try (Lanes.Turn _ = turn.get()) {
            result = parts.posts().post(webhook, record, clock.instant());
        }
        return finish(record, result, raw);
    }

    private Duration age(WebhookRecord record) {
        return Duration.between(record.since(), clock.instant());
    }

    /** Looks the job up until its standing is clear. The outcome usually follows its announcement at once. */
    private Confirmation.Standing standing(WebhookRecord record) throws InterruptedException {
        Duration wait = FIRST_LOOK;
        for (int i = 1; i < LOOKS; i++) {
            Confirmation.Standing standing = parts.looks().look(record, age(record));
            if (standing != Confirmation.Standing.OPEN || !parts.pauses().pause(wait)) {
                return standing;
            }
            wait = wait.multipliedBy(2);
        }
        return parts.looks().look(record, age(record));
    }

    private boolean finish(WebhookRecord record, PostResult result, ConsumerRecord<byte[], byte[]> raw)
            throws InterruptedException {
        String name = record.webhook();
        note(name, result);
        switch (NextStep.after(record, result, clock.instant())) {
            case NextStep.Done() -> {
                count(name, Result.DELIVERED, 1);
                return true;
            }
            case NextStep.PostLater(WebhookRecord later, WebhookDelay delay) -> {
                LOG.debugf("job=%s webhook=%s post %d failed", record.id(), name, later.failed());
                count(name, Result.RETRIED, 1);
                return write(later, delay);
            }
            case NextStep.GiveUp(JobFailure why) -> {
                LOG.errorf("job=%s webhook=%s its outcome becomes a dead letter: %s", record.id(), name, why.message());
                if (!persist(() -> parts.deadLetters().write(raw, record.id(), why, record.failed() + 1))) {
                    return false;
                }
                count(name, Result.FAILED, 1);
                return true;
            }
        }
    }

    private void note(String webhook, PostResult result) {
        switch (result) {
            case PostResult.Taken() -> {
                if (troubles.remove(webhook) != null) {
                    LOG.infof("webhook=%s its receiver takes outcomes again", webhook);
                }
            }
            case PostResult.Gone() -> trouble(webhook, "the receiver answered 410: it wants no more posts");
            case PostResult.Failed(String why) -> trouble(webhook, why);
        }
    }

    private void trouble(String webhook, String why) {
        Trouble now = troubles.merge(
                webhook,
                new Trouble(1, clock.instant(), why),
                (known, _) -> new Trouble(known.posts() + 1, known.since(), why));
        if (now.posts() == 1) {
            LOG.warnf("webhook=%s a post failed, and is retried for up to 24 h: %s", webhook, why);
        }
    }

    private boolean writeLater(WebhookRecord record, WebhookDelay delay) throws InterruptedException {
        return write(record.later(clock.instant().plus(delay.length())), delay);
    }

    private boolean write(WebhookRecord record, WebhookDelay delay) throws InterruptedException {
        return persist(() -> parts.topic().write(record, delay));
    }

    private interface Write {
        CompletableFuture<?> send();
    }

    /**
     * Writes to the broker until it has the record.
     *
     * @return false if the replica stopped before that
     */
    private boolean persist(Write write) throws InterruptedException {
        while (true) {
            try {
                write.send().get();
                return true;
            } catch (ExecutionException | KafkaException e) {
                LOG.warnf("a webhook record could not be written, trying again: %s", Reason.of(KafkaClients.cause(e)));
            }
            if (!parts.pauses().pause(WRITE_AGAIN)) {
                return false;
            }
        }
    }
}
