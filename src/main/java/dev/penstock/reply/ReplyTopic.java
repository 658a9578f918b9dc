package dev.penstock.reply;

import dev.penstock.job.EventMark;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobId;
import dev.penstock.kafka.KafkaClients;
import dev.penstock.settings.Settings;
import dev.penstock.wire.document.EventDocument;
import dev.penstock.wire.record.EventHeaders;
import jakarta.annotation.PreDestroy;
import jakarta.inject.Inject;
import jakarta.inject.Singleton;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.config.TopicConfig;
import org.apache.kafka.common.utils.Utils;
import org.jboss.logging.Logger;
import org.jspecify.annotations.Nullable;

/**
 * Writes events to the reply topic. One producer serves all jobs. The events of one job are in one partition, so they
 * keep their order.
 */
@Singleton
public class ReplyTopic {
    private static final Logger LOG = Logger.getLogger(ReplyTopic.class);
    /**
     * How long the broker may take to confirm an event. This is longer than a restart of the broker. If an event is not
     * on the broker after this time, its job starts over.
     */
    private static final Duration DELIVERY_TIMEOUT = Duration.ofMinutes(2);

    /**
     * The bytes for key, headers, batch and the overhead of compression. They count only if the topic's limit is below
     * the configured size.
     */
    private static final int AROUND_A_VALUE = 4 * 1024;
    /** The bytes that the mark of a replay adds to an outcome. */
    private static final int REPLAYED = 64;
    /** The smallest limit. It has room for a failure with a short message. */
    private static final int LEAST = 2 * 1024;

    private final String name;
    private final int maxRecord;
    private final Producer<byte[], byte[]> producer;
    /** The number of partitions; 0 if it is not known yet. */
    private volatile int partitions;

    private volatile Limit limit;
    private final AskLimit askLimit;

    /** Asks the broker for the topic's limit. */
    @FunctionalInterface
    public interface AskLimit {
        int ask() throws InterruptedException, ExecutionException;
    }

    /**
     * The largest size of an event's value.
     *
     * @param of the setting that sets the limit
     */
    record Limit(int bytes, String of) {
        /** Returns the limit in words, for messages. */
        String words() {
            return "%d bytes (%s)".formatted(bytes, of);
        }
    }

    @Inject
    public ReplyTopic(KafkaClients kafka, Settings settings) {
        this(
                settings.topics().replies(),
                producer(kafka, settings.replies().compression()),
                kafka.maxRecord(),
                () -> ask(kafka, settings));
    }

    /** @param maxRecord the configured size of a record's value, in bytes */
    public ReplyTopic(String name, Producer<byte[], byte[]> producer, int maxRecord, AskLimit askLimit) {
        this.name = name;
        this.producer = producer;
        this.maxRecord = maxRecord;
        this.askLimit = askLimit;
        limit = new Limit(maxRecord - REPLAYED, "penstock.kafka.max-record");
    }

    /** @return {@code max.message.bytes} of the topic */
    private static int ask(KafkaClients kafka, Settings settings) throws InterruptedException, ExecutionException {
        ConfigResource topic =
                new ConfigResource(ConfigResource.Type.TOPIC, settings.topics().replies());
        Config config =
                kafka.admin().describeConfigs(List.of(topic)).all().get().get(topic);
        ConfigEntry most = config == null ? null : config.get(TopicConfig.MAX_MESSAGE_BYTES_CONFIG);
        return Integer.parseInt(String.valueOf(most == null ? null : most.value()));
    }

    private static Producer<byte[], byte[]> producer(KafkaClients kafka, Settings.Compression compression) {
        return kafka.producer(
                "penstock-replies",
                Map.of(
                        ProducerConfig.LINGER_MS_CONFIG,
                        0,
                        ProducerConfig.COMPRESSION_TYPE_CONFIG,
                        compression.wireName(),
                        ProducerConfig.DELIVERY_TIMEOUT_MS_CONFIG,
                        (int) DELIVERY_TIMEOUT.toMillis()));
    }

    public String name() {
        return name;
    }

    Limit limit() {
        return limit;
    }

    /**
     * Reads the topic's own {@code max.message.bytes}, and applies this limit if it is below the configured size. This
     * happens at the start, and after the broker has refused an event as too large.
     */
    public void learnLimit() throws InterruptedException {
        try {
            learnLimit(askLimit.ask());
        } catch (ExecutionException | KafkaException | NumberFormatException e) {
            LOG.debugf("topic=%s its max.message.bytes is not known: %s", name, e.getMessage());
        }
    }

    /** @param maxMessageBytes the topic's own limit */
    private void learnLimit(int maxMessageBytes) {
        limit = maxMessageBytes - AROUND_A_VALUE >= maxRecord
                ? new Limit(maxRecord - REPLAYED, "penstock.kafka.max-record")
                : new Limit(
                        Math.max(LEAST, maxMessageBytes - AROUND_A_VALUE - REPLAYED),
                        "max.message.bytes of topic %s".formatted(name));
    }

    /**
     * Returns the partition of all events of a job. Any Kafka producer computes the same partition from the key. The
     * topic's number of partitions is requested once, and again after an event went to another partition than
     * expected.
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
     * @param traceparent the trace of the job's producer; null if there is none
     * @return a future that completes when the event is on the broker
     */
    public CompletableFuture<@Nullable Void> send(
            JobId id, EventMark mark, JobEvent event, byte @Nullable [] traceparent) {
        return send(id, mark, EventDocument.write(id, mark, event), traceparent);
    }

    /** Sends an outcome once more, with the mark of a replay. */
    CompletableFuture<@Nullable Void> replay(
            JobId id, String outcome, EventMark.Kind kind, int attempt, String run, byte @Nullable [] traceparent) {
        EventDocument.Replay replay = EventDocument.replay(outcome);
        return send(
                id,
                new EventMark(kind, attempt, run, replay.seq()),
                replay.value().get(),
                traceparent);
    }

    /** Sends an event in its serialized form. */
    public CompletableFuture<@Nullable Void> send(
            JobId id, EventMark mark, byte[] value, byte @Nullable [] traceparent) {
        byte[] key = EventHeaders.utf8(id.value());
        return KafkaClients.send(
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
