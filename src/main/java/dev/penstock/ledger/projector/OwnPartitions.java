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
 * The partitions that the group assigns to this replica. A placed partition has a position: an offset below which the
 * ledger has all records of the partition. The ledger takes no record of an unplaced partition. Only the projector's
 * thread may call the methods, except {@link #placed}. The consumer calls the listener's methods on the same thread.
 */
final class OwnPartitions implements ConsumerRebalanceListener {
    /**
     * The position of each placed partition. If the database has another position, another projector owns the
     * partition.
     */
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

    /** Returns the partitions that this replica projects now. Any thread may call this method. */
    Set<TopicPartition> placed() {
        return Set.copyOf(positions.keySet());
    }

    /** Returns the assigned partitions without a position. */
    Set<TopicPartition> unplaced() {
        return Set.copyOf(unplaced);
    }

    Map<TopicPartition, Long> positions() {
        return Map.copyOf(positions);
    }

    /**
     * Returns the placed partitions whose position in the database is another one, or is missing.
     *
     * @param known the positions in the database
     */
    Set<TopicPartition> moved(Map<TopicPartition, Long> known) {
        Set<TopicPartition> moved = new HashSet<>();
        positions.forEach((partition, position) -> {
            if (!position.equals(known.get(partition))) {
                moved.add(partition);
            }
        });
        return moved;
    }

    void place(TopicPartition partition, long position) {
        positions.put(partition, position);
        unplaced.remove(partition);
    }

    /** Removes the position of a partition. The projector then reads the position again. */
    void unplace(TopicPartition partition) {
        unplaced.add(partition);
        positions.remove(partition);
    }

    /**
     * Removes the positions of these partitions. The projector then reads the positions of those that are still
     * assigned.
     */
    void unplace(Collection<TopicPartition> partitions, Set<TopicPartition> assigned) {
        unplaced.addAll(partitions);
        unplaced.retainAll(assigned);
        positions.keySet().removeAll(partitions);
    }

    /** Removes all positions. */
    void unplaceAll(Set<TopicPartition> assigned) {
        unplaced.addAll(assigned);
        positions.clear();
    }

    void clear() {
        unplaced.clear();
        positions.clear();
    }

    /**
     * Returns the positions of the placed partitions after these records. If the offset of a partition went back, the
     * partition was recreated, so this method removes its position.
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

    /** Moves the positions to these ends, after the ledger has written all records below them. */
    void advance(Map<TopicPartition, Long> ends) {
        positions.putAll(ends);
    }
}
