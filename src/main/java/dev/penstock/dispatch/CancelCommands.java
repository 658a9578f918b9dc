package dev.penstock.dispatch;

import dev.penstock.job.ExpiringSet;
import dev.penstock.job.JobId;
import dev.penstock.kafka.KafkaClients;
import dev.penstock.kafka.TopicTail;
import dev.penstock.settings.Settings;
import dev.penstock.wire.document.CommandDocument;
import jakarta.annotation.PreDestroy;
import jakarta.inject.Inject;
import jakarta.inject.Singleton;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.function.Supplier;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;

/**
 * Writes and reads the commands topic. The replica that receives a cancel request writes a command. Every replica reads
 * all partitions from the beginning, without a consumer group. So a command reaches the replica that runs the job now,
 * and also a replica that takes the job later.
 */
@Singleton
public final class CancelCommands {
    private static final TopicTail.Names NAMES = new TopicTail.Names("penstock-commands", "commands", "commands");
    /** How long the topic keeps a command. */
    private static final Duration KEPT = Duration.ofHours(24);

    private final String topic;
    private final Clock clock;
    private final Producer<byte[], byte[]> producer;
    private final ExpiringSet<JobId> cancelled = new ExpiringSet<>();
    private final TopicTail tail;
    private volatile java.util.function.Consumer<JobId> onCancel = _ -> {};

    @Inject
    public CancelCommands(KafkaClients kafka, Settings settings, Clock clock) {
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
        this.producer = producer;
        this.topic = topic;
        this.clock = clock;
        tail = TopicTail.ofTopic(NAMES, consumers, topic, Commands::new);
    }

    /** Sends a cancel command for a job to every replica. The future completes when the command is on the broker. */
    public CompletableFuture<?> cancel(JobId id) {
        return send(id, CommandDocument.cancel(id));
    }

    /** Sends the command to forget a job that has ended. The future completes when the command is on the broker. */
    public CompletableFuture<?> forget(JobId id) {
        return send(id, CommandDocument.forget(id));
    }

    private CompletableFuture<?> send(JobId id, byte[] command) {
        byte[] key = id.value().getBytes(StandardCharsets.UTF_8);
        return KafkaClients.send(producer, new ProducerRecord<>(topic, key, command));
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
        tail.follow();
    }

    private final class Commands implements TopicTail.Reader {
        @Override
        public void read(ConsumerRecord<byte[], byte[]> record) {
            CommandDocument.cancelled(record.value()).ifPresent(id -> {
                cancelled.add(id, Instant.ofEpochMilli(record.timestamp()).plus(KEPT));
                onCancel.accept(id);
            });
        }

        @Override
        public void polled(boolean caughtUp) {
            cancelled.forget(clock.instant());
        }
    }

    @PreDestroy
    void close() {
        tail.close();
        producer.close(Duration.ofSeconds(5));
    }
}
