package dev.penstock.ledger.janitor;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.JobEvent;
import dev.penstock.job.JobId;
import dev.penstock.job.Priority;
import dev.penstock.job.PromptJob;
import dev.penstock.job.RecordPlace;
import dev.penstock.job.RecordStamp;
import dev.penstock.job.Task;
import dev.penstock.ledger.row.JobRow;
import dev.penstock.ledger.row.Submission;
import dev.penstock.reply.ReplyTopic;
import dev.penstock.reply.WebhookRecord;
import dev.penstock.reply.WebhookTopic;
import dev.penstock.settings.read.TestSettings;
import dev.penstock.testkit.Conditions;
import dev.penstock.testkit.PlayedClock;
import dev.penstock.testkit.PlayedProducer;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.time.Instant;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.MockProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.errors.TimeoutException;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The janitor's and the audit's outcomes reach the webhook of their job. */
@Timeout(60)
class OutcomePublisherTest {
    private static final Instant NOW = Instant.parse("2026-05-01T12:00:00Z");
    private static final JobId ID = new JobId("a");

    private final MockProducer<byte[], byte[]> replies = PlayedProducer.of("prompt-replies", 1);
    private final MockProducer<byte[], byte[]> webhooks = PlayedProducer.of("prompt-webhooks", 6, false);

    /** A publisher that owns no partition. */
    @SuppressWarnings("NullAway")
    private final OutcomePublisher publisher = new OutcomePublisher(
            new ReplyTopic("prompt-replies", replies, 1 << 20, () -> 1 << 20),
            new WebhookTopic(
                    TestSettings.ofFile(Map.of(
                            "penstock.webhooks.orders.url", "http://127.0.0.1:1",
                            "penstock.webhooks.orders.secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")),
                    webhooks,
                    PlayedClock.of(() -> NOW)),
            null,
            PlayedClock.of(() -> NOW),
            new SimpleMeterRegistry());

    private static Submission submission(@Nullable String webhook) {
        return new Submission(
                new RecordStamp(NOW.minusSeconds(9).toEpochMilli(), new RecordPlace("prompt-jobs", 0, 7)),
                "hash",
                Task.CHAT,
                Priority.NORMAL,
                "default",
                "tiny",
                1_000,
                null,
                PromptJob.Pins.NONE,
                Map.of(),
                webhook);
    }

    private Thread publish(Submission submission) {
        JobRow row = JobRow.unknown(ID).after(new JobRow.Change.Submitted(submission, "{}"));
        return Thread.ofVirtual().start(() -> {
            try {
                publisher.publish(row, submission, new JobEvent.Expired(null, Map.of()), null);
            } catch (InterruptedException _) {
                Thread.currentThread().interrupt();
            }
        });
    }

    @Test
    void an_outcome_is_announced_before_it_is_published() throws Exception {
        Thread publishing = publish(submission("orders"));
        Conditions.await(() -> webhooks.history().size() == 1);
        assertThat(replies.history()).isEmpty();

        webhooks.completeNext();
        publishing.join();

        ProducerRecord<byte[], byte[]> announced = webhooks.history().getFirst();
        ConsumerRecord<byte[], byte[]> read =
                new ConsumerRecord<>("prompt-webhooks", 0, 0, announced.key(), announced.value());
        announced.headers().forEach(read.headers()::add);
        assertThat(WebhookRecord.of(read)).hasValueSatisfying(record -> {
            assertThat(record.webhook()).isEqualTo("orders");
            assertThat(record.acceptedAt()).isEqualTo(NOW.minusSeconds(9));
            assertThat(record.valid()).isFalse();
        });
        assertThat(replies.history().getFirst().value()).isEqualTo(announced.value());
    }

    @Test
    void an_outcome_that_could_not_be_announced_is_not_published_now() throws Exception {
        Thread publishing = publish(submission("orders"));
        Conditions.await(() -> webhooks.history().size() == 1);

        webhooks.errorNext(new TimeoutException("away"));
        publishing.join();

        assertThat(replies.history()).isEmpty();
    }

    @Test
    void a_job_without_a_webhook_is_published_at_once() throws Exception {
        publish(submission(null)).join();

        assertThat(webhooks.history()).isEmpty();
        assertThat(replies.history()).hasSize(1);
    }
}
