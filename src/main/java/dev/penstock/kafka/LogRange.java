package dev.penstock.kafka;

import java.time.Duration;
import java.util.List;
import java.util.function.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.TimeoutException;

/** Reads all records in a part of one partition. */
public final class LogRange {
    private static final Duration POLL = Duration.ofMillis(200);
    private static final Duration STANDSTILL = Duration.ofSeconds(10);

    private LogRange() {}

    /**
     * Reads the records from one offset up to another. Afterwards, the reader's position is the end offset.
     *
     * @param name the reader's name, for reports about records that it cannot read
     * @throws TimeoutException if no record has come for ten seconds
     */
    public static void read(
            String name,
            org.apache.kafka.clients.consumer.Consumer<byte[], byte[]> reader,
            TopicPartition partition,
            long from,
            long end,
            Consumer<ConsumerRecord<byte[], byte[]>> onRecord) {
        RecordGuard guard = RecordGuard.of(name);
        reader.assign(List.of(partition));
        reader.seek(partition, from);
        long position = from;
        long movedAt = System.nanoTime();
        while (position < end) {
            for (ConsumerRecord<byte[], byte[]> record :
                    guard.poll(reader, POLL).records(partition)) {
                guard.read(record, () -> onRecord.accept(record));
            }
            long now = reader.position(partition);
            if (now > position) {
                position = now;
                movedAt = System.nanoTime();
            } else if (System.nanoTime() - movedAt > STANDSTILL.toNanos()) {
                throw new TimeoutException(
                        "partition %s does not answer: it was read up to %d of %d".formatted(partition, position, end));
            }
        }
    }

    /** Reads up to the current end. */
    public static void read(
            String name,
            org.apache.kafka.clients.consumer.Consumer<byte[], byte[]> reader,
            TopicPartition partition,
            Consumer<ConsumerRecord<byte[], byte[]>> onRecord) {
        List<TopicPartition> one = List.of(partition);
        long start = reader.beginningOffsets(one).getOrDefault(partition, 0L);
        read(name, reader, partition, start, reader.endOffsets(one).getOrDefault(partition, start), onRecord);
    }
}
