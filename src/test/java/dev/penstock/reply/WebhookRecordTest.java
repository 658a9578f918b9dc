package dev.penstock.reply;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.EventMark;
import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.testkit.PlayedProducer;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.MockProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.utils.Bytes;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class WebhookRecordTest {
    private static final Instant NOW = Instant.parse("2026-05-01T12:00:00Z");

    private static WebhookRecord record(String job, EventMark.Kind kind, int attempt, String run) {
        return new WebhookRecord(
                "orders",
                new JobId(job),
                new EventMark(kind, attempt, run, 2),
                NOW.minusSeconds(60),
                NOW,
                NOW.plusSeconds(5),
                3,
                true,
                Bytes.wrap("{\"é\":1}".getBytes(StandardCharsets.UTF_8)),
                Bytes.wrap("00-trace".getBytes(StandardCharsets.UTF_8)));
    }

    private static ConsumerRecord<byte[], byte[]> read(ProducerRecord<byte[], byte[]> written) {
        ConsumerRecord<byte[], byte[]> read =
                new ConsumerRecord<>(written.topic(), 1, 9, written.key(), written.value());
        written.headers().forEach(read.headers()::add);
        return read;
    }

    @Test
    void a_record_is_read_as_it_was_written() {
        WebhookRecord record = record("a", EventMark.Kind.COMPLETED, 1, "run1");

        assertThat(WebhookRecord.of(read(record.toRecord("prompt-webhooks", 1))))
                .contains(record);
        assertThat(WebhookRecord.of(read(record.later(NOW).toRecord("prompt-webhooks", 0))))
                .contains(record.later(NOW));
    }

    @Test
    void a_dead_letter_keeps_what_a_retry_needs() {
        WebhookRecord record = record("a", EventMark.Kind.FAILED, 1, "run1");
        MockProducer<byte[], byte[]> dlq = PlayedProducer.of("prompt-jobs-dlq", 1);
        new DeadLetters("prompt-jobs-dlq", dlq, new SimpleMeterRegistry())
                .write(
                        read(record.toRecord("prompt-webhooks", 1)),
                        record.id(),
                        JobFailure.of(JobFailure.Code.WEBHOOK_FAILED, "no"),
                        4)
                .join();

        DeadLetter letter = DeadLetter.of(read(dlq.history().getFirst())).orElseThrow();

        assertThat(letter.webhook()).isEqualTo(record);
        assertThat(letter.withoutValue().webhook()).isNull();
    }

    @Test
    void a_dead_letter_of_a_job_is_no_outcome() {
        ConsumerRecord<byte[], byte[]> job =
                new ConsumerRecord<>("prompt-jobs", 0, 1, null, "{}".getBytes(StandardCharsets.UTF_8));
        MockProducer<byte[], byte[]> dlq = PlayedProducer.of("prompt-jobs-dlq", 1);
        // headers that a producer copied from the webhook topic
        record("a", EventMark.Kind.FAILED, 1, "r").toRecord("t", 0).headers().forEach(job.headers()::add);
        new DeadLetters("prompt-jobs-dlq", dlq, new SimpleMeterRegistry())
                .write(job, new JobId("a"), JobFailure.of(JobFailure.Code.INVALID_REQUEST, "no"), 0)
                .join();

        assertThat(DeadLetter.of(read(dlq.history().getFirst())).orElseThrow().webhook())
                .isNull();
    }

    @Test
    void the_id_is_the_same_for_each_post_and_has_no_full_stop() {
        String id = record("a.b.c", EventMark.Kind.COMPLETED, 1, "run1").messageId();

        assertThat(id).matches("msg_[0-9a-f]{32}");
        assertThat(record("a.b.c", EventMark.Kind.COMPLETED, 2, "run2")
                        .failedAgain(NOW)
                        .messageId())
                .isEqualTo(id);
        assertThat(record("a.b.c", EventMark.Kind.FAILED, 1, "run1").messageId())
                .isNotEqualTo(id);
        assertThat(record("a.b", EventMark.Kind.COMPLETED, 1, "run1").messageId())
                .isNotEqualTo(id);
    }

    @ParameterizedTest
    @ValueSource(strings = {"job-id", "event", "penstock-webhook", "penstock-created-at", "penstock-not-before"})
    void a_record_without_one_of_its_headers_is_not_read(String header) {
        ConsumerRecord<byte[], byte[]> read =
                read(record("a", EventMark.Kind.COMPLETED, 1, "run1").toRecord("prompt-webhooks", 1));
        read.headers().remove(header);

        assertThat(WebhookRecord.of(read)).isEmpty();
    }

    @Test
    void each_delay_has_its_partition_and_the_longest_share_the_last_one() {
        assertThat(WebhookDelay.NONE.partition(6)).isZero();
        assertThat(WebhookDelay.HOUR.partition(6)).isEqualTo(5);
        assertThat(WebhookDelay.HOUR.partition(4)).isEqualTo(3);
        assertThat(WebhookDelay.SECONDS.partition(1)).isZero();
    }
}
