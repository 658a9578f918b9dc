package dev.penstock.reply;

import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.job.RecordPlace;
import dev.penstock.kafka.KafkaClients;
import dev.penstock.settings.Settings;
import dev.penstock.wire.record.EventHeaders;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.MeterRegistry;
import jakarta.annotation.PreDestroy;
import jakarta.inject.Inject;
import jakarta.inject.Singleton;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.jspecify.annotations.Nullable;

/** Writes dead letters: unchanged copies of records that could not run, with headers that give the reason. */
@Singleton
public class DeadLetters {
    private static final long LEAST_BUFFER = 32L << 20;

    private final String topic;
    /**
     * The reasons whose counters exist from the start, at zero. Otherwise an alert could not see their first increase.
     */
    private static final List<JobFailure.Code> REASONS = List.of(
            JobFailure.Code.INVALID_REQUEST,
            JobFailure.Code.TOO_LARGE,
            JobFailure.Code.ID_CONFLICT,
            JobFailure.Code.POISON,
            JobFailure.Code.LOST,
            JobFailure.Code.WEBHOOK_FAILED);

    private final Producer<byte[], byte[]> producer;
    private final MeterRegistry meters;

    @Inject
    public DeadLetters(KafkaClients kafka, Settings settings, MeterRegistry meters) {
        this(
                settings.topics().deadLetters(),
                kafka.producer(
                        "penstock-dlq",
                        Map.of(
                                ProducerConfig.COMPRESSION_TYPE_CONFIG,
                                "lz4",
                                // no limit here: the broker's limit applies to compressed bytes, so a record may be
                                // larger than that limit, and its dead letter must be sent too
                                ProducerConfig.MAX_REQUEST_SIZE_CONFIG,
                                Integer.MAX_VALUE,
                                ProducerConfig.BUFFER_MEMORY_CONFIG,
                                Math.max(LEAST_BUFFER, 4L * settings.maxRecord()))),
                meters);
    }

    public DeadLetters(String topic, Producer<byte[], byte[]> producer, MeterRegistry meters) {
        this.topic = topic;
        this.producer = producer;
        this.meters = meters;
        REASONS.forEach(this::counter);
    }

    private Counter counter(JobFailure.Code reason) {
        return meters.counter("penstock.dlq", "reason", reason.wireName());
    }

    /**
     * Writes a record to the topic: its key, value and headers unchanged, and the headers dlq-*. If the topic refuses
     * the record as too large, a record without value and headers replaces it, and dlq-message contains the place of
     * the original record.
     *
     * @param id the job id of the record
     * @return the place of the dead letter; completes when the broker has the dead letter
     */
    public CompletableFuture<RecordPlace> write(
            ConsumerRecord<byte[], byte[]> record, JobId id, JobFailure failure, int attempts) {
        boolean notKept = record.value() == null && record.serializedValueSize() > 0;
        JobFailure reported = notKept ? withoutValue(record, failure) : failure;
        return KafkaClients.send(producer, letter(record, record.value(), record.headers(), id, reported, attempts))
                .exceptionallyCompose(failed -> KafkaClients.isTooLarge(failed)
                        ? KafkaClients.send(
                                producer,
                                letter(record, null, new RecordHeaders(), id, withoutValue(record, failure), attempts))
                        : CompletableFuture.failedFuture(failed))
                .thenApply(written -> {
                    counter(failure.code()).increment();
                    return new RecordPlace(written.topic(), written.partition(), written.offset());
                });
    }

    private static JobFailure withoutValue(ConsumerRecord<byte[], byte[]> record, JobFailure failure) {
        byte[] value = record.value();
        return JobFailure.of(
                failure.code(),
                "%s. Its value is not here, as this topic does not take its %d bytes; it lies at %s-%d@%d"
                        .formatted(
                                failure.message(),
                                value == null ? Math.max(0, record.serializedValueSize()) : value.length,
                                record.topic(),
                                record.partition(),
                                record.offset()));
    }

    private ProducerRecord<byte[], byte[]> letter(
            ConsumerRecord<byte[], byte[]> record,
            byte @Nullable [] value,
            Headers own,
            JobId id,
            JobFailure failure,
            int attempts) {
        Headers headers = new RecordHeaders(own)
                .add("dlq-reason", EventHeaders.utf8(failure.code().wireName()))
                .add("dlq-message", EventHeaders.utf8(failure.message()))
                .add("dlq-topic", EventHeaders.utf8(record.topic()))
                .add("dlq-partition", EventHeaders.utf8(Integer.toString(record.partition())))
                .add("dlq-offset", EventHeaders.utf8(Long.toString(record.offset())))
                .add("dlq-attempts", EventHeaders.utf8(Integer.toString(attempts)))
                .add("dlq-job-id", EventHeaders.utf8(id.value()));
        return new ProducerRecord<>(topic, null, null, record.key(), value, headers);
    }

    /**
     * Writes a note that a dead letter is closed. The dead letter remains on the topic until the topic's retention time
     * is over.
     *
     * @param how the way in which the dead letter was closed, in a word or two
     */
    public CompletableFuture<?> close(DeadLetter letter, String how) {
        return KafkaClients.send(
                producer,
                new ProducerRecord<>(
                        topic, letter.partition(), null, null, null, DeadLetter.closing(letter.offset(), how)));
    }

    @PreDestroy
    void close() {
        producer.close(Duration.ofSeconds(5));
    }
}
