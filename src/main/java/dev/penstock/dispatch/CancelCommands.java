package dev.penstock.dispatch;

import dev.penstock.job.ExpiringSet;
import dev.penstock.job.JobId;
import dev.penstock.settings.KafkaSettings;
import dev.penstock.settings.Settings;
import dev.penstock.thread.SupervisedThread;
import dev.penstock.wire.Reason;
import dev.penstock.wire.document.CommandDocument;
import dev.penstock.wire.record.RecordGuard;
import jakarta.annotation.PreDestroy;
import jakarta.inject.Inject;
import jakarta.inject.Singleton;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.function.Supplier;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.jboss.logging.Logger;

/**
 * Writes and reads the commands topic. The replica that receives a cancel request writes a command. Every replica reads
 * all partitions from the beginning, without a consumer group. So a command reaches the replica that runs the job now,
 * and also a replica that takes the job later.
 */
@Singleton
public class CancelCommands {
    private static final Logger LOG = Logger.getLogger(CancelCommands.class);
    private static final RecordGuard GUARD = RecordGuard.of("commands");
    /** How long the topic keeps a command. */
    private static final Duration KEPT = Duration.ofHours(24);

    private static final Duration RETRY = Duration.ofSeconds(1);

    private static final Duration POLL = Duration.ofMillis(500);

    private final Supplier<Consumer<byte[], byte[]>> consumers;
    private final String topic;
    private final Clock clock;
    private final Producer<byte[], byte[]> producer;
    private final ExpiringSet<JobId> cancelled = new ExpiringSet<>();
    private final CountDownLatch caughtUp = new CountDownLatch(1);
    private final SupervisedThread reader = new SupervisedThread("penstock-commands", this::read);
    private volatile java.util.function.Consumer<JobId> onCancel = _ -> {};

    @Inject
    public CancelCommands(KafkaSettings kafka, Settings settings, Clock clock) {
        this(
                () -> kafka.reader("penstock-commands", Map.of(ConsumerConfig.FETCH_MAX_WAIT_MS_CONFIG, 500)),
                kafka.producer(
                        "penstock-commands",
                        Map.of(
                                ProducerConfig.DELIVERY_TIMEOUT_MS_CONFIG,
                                10_000,
                                ProducerConfig.REQUEST_TIMEOUT_MS_CONFIG,
                                5_000,
                                ProducerConfig.MAX_BLOCK_MS_CONFIG,
                                5_000)),
                settings.topics().commands(),
                clock);
    }

    /** @param consumers creates a consumer; the reading thread assigns its partitions and closes it */
    CancelCommands(
            Supplier<Consumer<byte[], byte[]>> consumers,
            Producer<byte[], byte[]> producer,
            String topic,
            Clock clock) {
        this.consumers = consumers;
        this.producer = producer;
        this.topic = topic;
        this.clock = clock;
    }

    /** Sends a cancel command for a job to every replica. The future completes when the command is on the broker. */
    public CompletableFuture<?> cancel(JobId id) {
        byte[] key = id.value().getBytes(StandardCharsets.UTF_8);
        return KafkaSettings.send(producer, new ProducerRecord<>(topic, key, CommandDocument.cancel(id)));
    }

    boolean isCancelled(JobId id) {
        return cancelled.contains(id);
    }

    /**
     * Starts a thread that reads the commands from the beginning until {@link #close}. Returns when the thread has read
     * all commands that exist now.
     *
     * @param listener receives the id of each cancelled job on the reading thread, after {@link #isCancelled} returns
     *     true for it
     */
    void follow(java.util.function.Consumer<JobId> listener) throws InterruptedException {
        onCancel = listener;
        reader.start();
        caughtUp.await();
    }

    private void read() throws InterruptedException {
        do {
            try (Consumer<byte[], byte[]> consumer = consumers.get()) {
                read(consumer);
            } catch (KafkaException e) {
                LOG.warnf("commands could not be read, trying again: %s", Reason.of(e));
            }
        } while (reader.pause(RETRY));
    }

    private void read(Consumer<byte[], byte[]> consumer) {
        Set<TopicPartition> assigned = new HashSet<>();
        Map<TopicPartition, Long> ends = Map.of();
        while (!reader.isStopping()) {
            if (follow(consumer, assigned)) {
                ends = consumer.endOffsets(assigned);
            }
            for (ConsumerRecord<byte[], byte[]> record : GUARD.poll(consumer, POLL)) {
                apply(record);
            }
            if (caughtUp.getCount() > 0
                    && ends.entrySet().stream().allMatch(end -> consumer.position(end.getKey()) >= end.getValue())) {
                caughtUp.countDown();
            }
            cancelled.forget(clock.instant());
        }
    }

    /**
     * Assigns the new partitions of the topic; their commands are read from the beginning.
     *
     * @return whether there are new partitions
     */
    private boolean follow(Consumer<byte[], byte[]> consumer, Set<TopicPartition> assigned) {
        Set<TopicPartition> added = new HashSet<>();
        consumer.partitionsFor(topic).forEach(partition -> added.add(new TopicPartition(topic, partition.partition())));
        added.removeAll(assigned);
        if (added.isEmpty()) {
            return false;
        }
        assigned.addAll(added);
        consumer.assign(assigned);
        consumer.seekToBeginning(added);
        return true;
    }

    /** Applies a command. If it fails, the reader continues with the next command. */
    private void apply(ConsumerRecord<byte[], byte[]> record) {
        GUARD.read(
                record,
                () -> CommandDocument.cancelled(record.value()).ifPresent(id -> {
                    cancelled.add(id, Instant.ofEpochMilli(record.timestamp()).plus(KEPT));
                    onCancel.accept(id);
                }));
    }

    @PreDestroy
    void close() {
        reader.stop();
        producer.close(Duration.ofSeconds(5));
    }
}
