package dev.penstock.dispatch;

import dev.penstock.job.JobId;
import dev.penstock.settings.KafkaSettings;
import dev.penstock.settings.Settings;
import dev.penstock.wire.CommandDocument;
import dev.penstock.wire.Reason;
import jakarta.annotation.PreDestroy;
import jakarta.inject.Singleton;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.function.Consumer;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.jboss.logging.Logger;

/**
 * The commands topic: written by the replica that is asked to cancel, read by every replica, all partitions, without a
 * group and from the beginning. So a command reaches whoever runs the job now, and whoever will take it.
 */
@Singleton
public class CancelCommands {
    private static final Logger LOG = Logger.getLogger(CancelCommands.class);
    /** As long as the topic keeps them. */
    private static final Duration KEPT = Duration.ofHours(24);

    private static final Duration RETRY = Duration.ofSeconds(1);

    private final KafkaSettings kafka;
    private final String topic;
    private final Clock clock;
    private final KafkaProducer<byte[], byte[]> producer;
    private final Map<JobId, Instant> cancelled = new ConcurrentHashMap<>();
    private final CountDownLatch caughtUp = new CountDownLatch(1);
    private volatile boolean closed;

    public CancelCommands(KafkaSettings kafka, Settings settings, Clock clock) {
        this.kafka = kafka;
        this.clock = clock;
        topic = settings.topics().commands();
        producer = kafka.producer(
                "penstock-commands",
                Map.of(
                        ProducerConfig.DELIVERY_TIMEOUT_MS_CONFIG,
                        10_000,
                        ProducerConfig.REQUEST_TIMEOUT_MS_CONFIG,
                        5_000,
                        ProducerConfig.MAX_BLOCK_MS_CONFIG,
                        5_000));
    }

    /** Tells every replica to cancel a job; done when the command is on the broker. */
    public CompletableFuture<?> cancel(JobId id) {
        byte[] key = id.value().getBytes(StandardCharsets.UTF_8);
        return KafkaSettings.send(producer, new ProducerRecord<>(topic, key, CommandDocument.cancel(id)));
    }

    boolean isCancelled(JobId id) {
        return cancelled.containsKey(id);
    }

    /**
     * Reads the commands from the beginning, for ever, and returns when all that are there now have been read.
     *
     * @param onCancel called for each on the reading thread, after {@link #isCancelled} knows it
     */
    void follow(Consumer<JobId> onCancel) throws InterruptedException {
        Thread.ofPlatform().daemon().name("penstock-commands").start(() -> {
            while (!closed) {
                try {
                    read(onCancel);
                } catch (KafkaException e) {
                    LOG.warnf("commands could not be read, trying again: %s", Reason.of(e));
                    pause();
                }
            }
        });
        caughtUp.await();
    }

    private void read(Consumer<JobId> onCancel) {
        try (KafkaConsumer<byte[], byte[]> consumer =
                kafka.reader("penstock-commands", Map.of(ConsumerConfig.FETCH_MAX_WAIT_MS_CONFIG, 500))) {
            List<TopicPartition> partitions = consumer.partitionsFor(topic).stream()
                    .map(partition -> new TopicPartition(topic, partition.partition()))
                    .toList();
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            while (!closed) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(500))) {
                    apply(record, onCancel);
                }
                if (caughtUp.getCount() > 0
                        && ends.entrySet().stream()
                                .allMatch(end -> consumer.position(end.getKey()) >= end.getValue())) {
                    caughtUp.countDown();
                }
                forget();
            }
        }
    }

    private void apply(ConsumerRecord<byte[], byte[]> record, Consumer<JobId> onCancel) {
        CommandDocument.cancelled(record.value()).ifPresent(id -> {
            cancelled.put(id, Instant.ofEpochMilli(record.timestamp()));
            onCancel.accept(id);
        });
    }

    private void forget() {
        Instant oldest = clock.instant().minus(KEPT);
        cancelled.values().removeIf(at -> at.isBefore(oldest));
    }

    private static void pause() {
        try {
            Thread.sleep(RETRY);
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
        }
    }

    @PreDestroy
    void close() {
        closed = true;
        producer.close(Duration.ofSeconds(5));
    }
}
