package dev.penstock.kafka;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.MockConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;

/**
 * Partitions with unreadable batches, from the view of a consumer (4.3.1): it throws once no readable record is left
 * before a batch.
 */
public class DamagedLog extends MockConsumer<byte[], byte[]> {
    private static final int MOST_RECORDS = 10;

    private final Map<TopicPartition, Long> ends = new HashMap<>();
    private final Map<TopicPartition, TreeMap<Long, Batch>> damaged = new HashMap<>();
    private final Map<TopicPartition, Long> positions = new HashMap<>();
    private final boolean saysBase;
    private int polls;

    private record Batch(long base, long next) {}

    /** @param saysBase true if the client reports the batch's first offset; false if it reports only the partition */
    public DamagedLog(boolean saysBase) {
        super("earliest");
        this.saysBase = saysBase;
    }

    public void partition(TopicPartition partition, long records) {
        ends.put(partition, records);
        updateBeginningOffsets(Map.of(partition, 0L));
        updateEndOffsets(Map.of(partition, records));
    }

    /** @param next the first offset after the batch */
    public void damage(TopicPartition partition, long base, long next) {
        damaged.computeIfAbsent(partition, _ -> new TreeMap<>()).put(base, new Batch(base, next));
    }

    public int polls() {
        return polls;
    }

    @Override
    public synchronized void assign(Collection<TopicPartition> partitions) {
        super.assign(partitions);
        partitions.forEach(partition -> positions.putIfAbsent(partition, 0L));
    }

    @Override
    public synchronized void seek(TopicPartition partition, long offset) {
        super.seek(partition, offset);
        positions.put(partition, offset);
    }

    @Override
    public synchronized void seekToBeginning(Collection<TopicPartition> partitions) {
        partitions.forEach(partition -> seek(partition, 0));
    }

    @Override
    public synchronized long position(TopicPartition partition) {
        return positions.getOrDefault(partition, 0L);
    }

    @Override
    public synchronized ConsumerRecords<byte[], byte[]> poll(Duration timeout) {
        polls++;
        Map<TopicPartition, List<ConsumerRecord<byte[], byte[]>>> records = new HashMap<>();
        Map<TopicPartition, OffsetAndMetadata> next = new HashMap<>();
        for (TopicPartition partition : assignment()) {
            if (!paused().contains(partition)) {
                List<ConsumerRecord<byte[], byte[]>> readable = read(partition, records.isEmpty());
                if (!readable.isEmpty()) {
                    records.put(partition, readable);
                    positions.put(partition, readable.getLast().offset() + 1);
                    next.put(partition, new OffsetAndMetadata(position(partition)));
                }
            }
        }
        return new ConsumerRecords<>(records, next);
    }

    private List<ConsumerRecord<byte[], byte[]>> read(TopicPartition partition, boolean first) {
        List<ConsumerRecord<byte[], byte[]>> readable = new ArrayList<>();
        for (long offset = position(partition);
                offset < ends.getOrDefault(partition, 0L) && readable.size() < MOST_RECORDS;
                offset++) {
            var below = damaged.getOrDefault(partition, new TreeMap<>()).floorEntry(offset);
            if (below != null && offset < below.getValue().next()) {
                if (readable.isEmpty() && first) {
                    throw unreadable(partition, below.getValue());
                }
                return readable;
            }
            readable.add(
                    new ConsumerRecord<>(partition.topic(), partition.partition(), offset, new byte[0], new byte[0]));
        }
        return readable;
    }

    private KafkaException unreadable(TopicPartition partition, Batch batch) {
        return new KafkaException(
                "Received exception when fetching the next record from " + partition
                        + ". If needed, please seek past the record to continue consumption.",
                saysBase
                        ? new KafkaException("Record batch for partition " + partition + " at offset " + batch.base()
                                + " is invalid, cause: Record is corrupt (stored crc = 1, computed crc = 2)")
                        : new KafkaException("Failed to decompress record stream"));
    }
}
