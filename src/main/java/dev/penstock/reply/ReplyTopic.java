package dev.penstock.reply;

import dev.penstock.job.EventMark;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobId;
import dev.penstock.settings.KafkaSettings;
import dev.penstock.settings.Settings;
import dev.penstock.wire.EventDocument;
import dev.penstock.wire.EventHeaders;
import jakarta.annotation.PreDestroy;
import jakarta.inject.Inject;
import jakarta.inject.Singleton;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.utils.Utils;
import org.jspecify.annotations.Nullable;

/**
 * The reply topic as its writer: one producer for all jobs, so that the events of one job, which lie in one partition,
 * keep the order in which they were sent.
 */
@Singleton
public class ReplyTopic {
    /** Outlasts a restart of the broker; a job whose event is still not there after it starts over. */
    private static final Duration DELIVERY_TIMEOUT = Duration.ofMinutes(2);

    private final String name;
    private final Producer<byte[], byte[]> producer;
    /** 0: not known yet. */
    private volatile int partitions;

    @Inject
    public ReplyTopic(KafkaSettings kafka, Settings settings) {
        this(
                settings.topics().replies(),
                kafka.producer(
                        "penstock-replies",
                        Map.of(
                                ProducerConfig.LINGER_MS_CONFIG,
                                0,
                                ProducerConfig.COMPRESSION_TYPE_CONFIG,
                                "lz4",
                                ProducerConfig.DELIVERY_TIMEOUT_MS_CONFIG,
                                (int) DELIVERY_TIMEOUT.toMillis())));
    }

    /** Over a producer of its own. */
    public ReplyTopic(String name, Producer<byte[], byte[]> producer) {
        this.name = name;
        this.producer = producer;
    }

    public String name() {
        return name;
    }

    /**
     * The partition that all events of a job lie in, as any Kafka producer computes it from the key. The broker is asked once for the
     * topic's number of partitions, and again when an event is found elsewhere.
     */
    public int partitionOf(JobId id) {
        int known = partitions;
        if (known == 0) {
            known = producer.partitionsFor(name).size();
            partitions = known;
        }
        return partitionOf(EventHeaders.utf8(id.value()), known);
    }

    private static int partitionOf(byte[] key, int ofSoMany) {
        return Utils.toPositive(Utils.murmur2(key)) % ofSoMany;
    }

    /**
     * Sends an event.
     *
     * @param traceparent of the job's producer; null where there is none
     * @return done when the event is on the broker
     */
    public CompletableFuture<@Nullable Void> send(
            JobId id, EventMark mark, JobEvent event, byte @Nullable [] traceparent) {
        return send(id, mark, EventDocument.write(id, mark, event), traceparent);
    }

    /** Sends an outcome once more, marked as a replay. */
    CompletableFuture<@Nullable Void> replay(
            JobId id, String outcome, EventMark.Kind kind, int attempt, String run, byte @Nullable [] traceparent) {
        EventDocument.Replay replay = EventDocument.replay(outcome);
        return send(
                id,
                new EventMark(kind, attempt, run, replay.seq()),
                replay.value().get(),
                traceparent);
    }

    private CompletableFuture<@Nullable Void> send(
            JobId id, EventMark mark, byte[] value, byte @Nullable [] traceparent) {
        byte[] key = EventHeaders.utf8(id.value());
        return KafkaSettings.send(
                        producer,
                        new ProducerRecord<>(name, null, null, key, value, EventHeaders.of(key, mark, traceparent)))
                .thenApply(place -> {
                    int known = partitions;
                    if (known > 0 && place.partition() != partitionOf(key, known)) {
                        partitions = 0;
                    }
                    return null;
                });
    }

    @PreDestroy
    void close() {
        producer.close(Duration.ofSeconds(5));
    }
}
