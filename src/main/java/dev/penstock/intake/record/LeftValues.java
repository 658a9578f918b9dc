package dev.penstock.intake.record;

import dev.penstock.kafka.KafkaClients;
import dev.penstock.kafka.RecordGuard;
import dev.penstock.settings.Settings;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.TimeoutException;
import org.jspecify.annotations.Nullable;

/**
 * Reads a value that a poll left out because memory was short. It reads the record again by its offset, without a
 * group, when there is memory for the record's run. It reads one value at a time. Thread-safe.
 */
public final class LeftValues implements AutoCloseable {
    private static final RecordGuard GUARD = RecordGuard.of("intake");
    private static final Duration POLL = Duration.ofMillis(200);
    /** If a record is at most this number of offsets ahead, the reader reads on to it; otherwise it seeks. */
    private static final int NEAR = 64;

    private static final Duration PATIENCE = Duration.ofSeconds(10);

    private final Supplier<Consumer<byte[], byte[]>> consumers;
    /* Guarded by this. */
    private @Nullable Consumer<byte[], byte[]> consumer;

    public LeftValues(KafkaClients kafka, Settings settings) {
        this(() -> kafka.reader(
                "penstock-left-values",
                Map.of(
                        ConsumerConfig.MAX_POLL_RECORDS_CONFIG,
                        1,
                        ConsumerConfig.DEFAULT_API_TIMEOUT_MS_CONFIG,
                        (int) PATIENCE.toMillis(),
                        ConsumerConfig.FETCH_MAX_BYTES_CONFIG,
                        settings.intake().fetchBytes(),
                        ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG,
                        settings.intake().fetchBytes())));
    }

    /** @param consumers creates a consumer without a group at each call */
    LeftValues(Supplier<Consumer<byte[], byte[]>> consumers) {
        this.consumers = consumers;
    }

    /**
     * Reads the value of a record.
     *
     * @return the value; null if the topic has dropped the record
     * @throws org.apache.kafka.common.KafkaException the broker does not answer now
     */
    synchronized byte @Nullable [] read(ConsumerRecord<byte[], byte[]> record) {
        Consumer<byte[], byte[]> reader = consumer;
        if (reader == null) {
            reader = consumers.get();
            consumer = reader;
        }
        TopicPartition partition = new TopicPartition(record.topic(), record.partition());
        try {
            goTo(reader, partition, record.offset());
            long until = System.nanoTime() + PATIENCE.toNanos();
            while (System.nanoTime() - until < 0) {
                for (ConsumerRecord<byte[], byte[]> read : GUARD.poll(reader, POLL)) {
                    if (read.offset() == record.offset()) {
                        return read.value();
                    }
                }
                if (reader.position(partition) > record.offset()) {
                    return null;
                }
            }
            throw new TimeoutException(
                    "partition %s does not answer at offset %d".formatted(partition, record.offset()));
        } finally {
            // pause, because otherwise the consumer fetches further records
            reader.pause(reader.assignment());
        }
    }

    /**
     * Moves the reader to an offset. After each seek, the consumer unpacks the batch again from its first record. If
     * the consumer only reads on, it unpacks the batch once.
     */
    private static void goTo(Consumer<byte[], byte[]> reader, TopicPartition partition, long offset) {
        if (reader.assignment().contains(partition)) {
            long ahead = offset - reader.position(partition);
            reader.resume(List.of(partition));
            if (ahead >= 0 && ahead <= NEAR) {
                return;
            }
        } else {
            reader.assign(List.of(partition));
        }
        reader.seek(partition, offset);
    }

    @Override
    public synchronized void close() {
        Consumer<byte[], byte[]> reader = consumer;
        if (reader != null) {
            reader.close();
            consumer = null;
        }
    }
}
