package dev.penstock.ledger.projector;

import dev.penstock.ledger.row.Submissions;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.common.TopicPartition;

/**
 * The partitions that the group assigns to this replica. A placed one has a position: the offset up to which the ledger
 * has its records. The ledger takes no record of an unplaced one. Belongs to the projector's thread, on which the
 * consumer calls it too, except {@link #placed}.
 */
final class OwnPartitions implements ConsumerRebalanceListener {
    /** Where the database has another position, another projector has the partition. */
    private final Map<TopicPartition, Long> positions = new ConcurrentHashMap<>();

    private final Set<TopicPartition> unplaced = new HashSet<>();

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
        unplaced.addAll(partitions);
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
        unplaced.removeAll(partitions);
        positions.keySet().removeAll(partitions);
    }

    @Override
    public void onPartitionsLost(Collection<TopicPartition> partitions) {
        onPartitionsRevoked(partitions);
    }

    /** The partitions that this replica projects now. Any thread may call it. */
    Set<TopicPartition> placed() {
        return Set.copyOf(positions.keySet());
    }

    /** The assigned partitions without a position. */
    Set<TopicPartition> unplaced() {
        return Set.copyOf(unplaced);
    }

    Map<TopicPartition, Long> positions() {
        return Map.copyOf(positions);
    }

    void place(TopicPartition partition, long position) {
        positions.put(partition, position);
        unplaced.remove(partition);
    }

    /** The partition's position has to be found again. */
    void unplace(TopicPartition partition) {
        unplaced.add(partition);
        positions.remove(partition);
    }

    /** The positions of these partitions have to be found again, where they are still assigned. */
    void unplace(Collection<TopicPartition> partitions, Set<TopicPartition> assigned) {
        unplaced.addAll(partitions);
        unplaced.retainAll(assigned);
        positions.keySet().removeAll(partitions);
    }

    /** No partition has a position any more. */
    void unplaceAll(Set<TopicPartition> assigned) {
        unplaced.addAll(assigned);
        positions.clear();
    }

    void clear() {
        unplaced.clear();
        positions.clear();
    }

    /**
     * Returns where the placed partitions stand after these records. A partition that went back has a log that begins
     * anew, so its position has to be found again.
     */
    Map<TopicPartition, Long> ends(ConsumerRecords<?, ?> records) {
        Map<TopicPartition, Long> ends = new TreeMap<>(Submissions.inOrder());
        records.nextOffsets().forEach((partition, offset) -> {
            Long from = positions.get(partition);
            if (from != null && offset.offset() < from) {
                unplace(partition);
            } else if (from != null) {
                ends.put(partition, offset.offset());
            }
        });
        return ends;
    }

    /** Returns the records of these partitions that the ledger does not have yet. */
    List<ConsumerRecord<byte[], byte[]>> newRecords(
            ConsumerRecords<byte[], byte[]> records, Collection<TopicPartition> partitions) {
        List<ConsumerRecord<byte[], byte[]>> fresh = new ArrayList<>();
        for (TopicPartition partition : partitions) {
            long from = positions.getOrDefault(partition, Long.MAX_VALUE);
            for (ConsumerRecord<byte[], byte[]> record : records.records(partition)) {
                if (record.offset() >= from) {
                    fresh.add(record);
                }
            }
        }
        return fresh;
    }

    /** The ledger has everything below these ends. */
    void advance(Map<TopicPartition, Long> ends) {
        positions.putAll(ends);
    }
}
