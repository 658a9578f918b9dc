package dev.penstock.intake.group;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Function;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.MockConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.OffsetCommitCallback;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.DisconnectException;
import org.jspecify.annotations.Nullable;

/** A partition that can be read again, from the view of its owner in a group. */
public final class PlayedLog extends MockConsumer<byte[], byte[]> {
    final AtomicLong polls = new AtomicLong();
    /** So many commits to come fail. */
    final AtomicInteger failing = new AtomicInteger();

    /** The offset of each commit that the broker took; also after the end. */
    final List<Long> commits = new CopyOnWriteArrayList<>();

    private final TopicPartition partition;
    /** By their offsets; null: a mark of a transaction, or what compaction removed. */
    private final List<@Nullable ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();

    private @Nullable ConsumerRebalanceListener listener;
    private boolean joined;
    private long from;

    public PlayedLog(TopicPartition partition) {
        super("earliest");
        this.partition = partition;
        updateBeginningOffsets(Map.of(partition, 0L));
        updateEndOffsets(Map.of(partition, 0L));
    }

    /** @param record made from its offset */
    public synchronized void append(Function<Long, ConsumerRecord<byte[], byte[]>> record) {
        records.add(record.apply((long) records.size()));
    }

    /** Appends an offset without a record. */
    synchronized void mark() {
        records.add(null);
    }

    /** The group takes the partition away at the next poll. */
    void revoke() {
        schedulePollTask(() -> rebalance(List.of()));
    }

    /** The group gives the partition again at the next poll. */
    synchronized void giveAgain() {
        updateEndOffsets(Map.of(partition, (long) records.size()));
        joined = false;
    }

    /** At the next poll the member learns that another one has the partition. */
    void lose() {
        schedulePollTask(() -> {
            ConsumerRebalanceListener told = listener;
            if (told != null) {
                told.onPartitionsLost(List.of(partition));
            }
        });
    }

    public long committedOffset() {
        return commits.isEmpty() ? -1 : commits.getLast();
    }

    @Override
    public void subscribe(Collection<String> topics, ConsumerRebalanceListener told) {
        listener = told;
        super.subscribe(topics, told);
    }

    @Override
    public synchronized void commitAsync(
            Map<TopicPartition, OffsetAndMetadata> offsets, @Nullable OffsetCommitCallback callback) {
        if (callback != null && failing.getAndUpdate(left -> Math.max(0, left - 1)) > 0) {
            callback.onComplete(offsets, new DisconnectException());
            return;
        }
        super.commitAsync(offsets, callback);
        offsets.values().forEach(offset -> commits.add(offset.offset()));
    }

    @Override
    public synchronized void seek(TopicPartition place, long offset) {
        super.seek(place, offset);
        from = offset;
    }

    @Override
    public synchronized ConsumerRecords<byte[], byte[]> poll(Duration timeout) {
        polls.incrementAndGet();
        if (!joined) {
            joined = true;
            rebalance(List.of(partition));
            from = position(partition);
        }
        long before = from;
        if (assignment().contains(partition) && !paused().contains(partition)) {
            for (; from < records.size(); from++) {
                ConsumerRecord<byte[], byte[]> record = records.get((int) from);
                if (record != null) {
                    addRecord(record);
                }
            }
        }
        long end = from;
        LockSupport.parkNanos(1_000_000);
        ConsumerRecords<byte[], byte[]> read = super.poll(Duration.ZERO);
        if (end == before || !assignment().contains(partition)) {
            return read;
        }
        Map<TopicPartition, List<ConsumerRecord<byte[], byte[]>>> all = new HashMap<>();
        read.partitions().forEach(place -> all.put(place, read.records(place)));
        return new ConsumerRecords<>(all, Map.of(partition, new OffsetAndMetadata(end)));
    }
}
