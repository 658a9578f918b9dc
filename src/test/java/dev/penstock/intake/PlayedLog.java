package dev.penstock.intake;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Function;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.MockConsumer;
import org.apache.kafka.common.TopicPartition;

/** A partition that can be read again, from the view of its owner in a group. */
final class PlayedLog extends MockConsumer<byte[], byte[]> {
    final AtomicLong polls = new AtomicLong();
    private final TopicPartition partition;
    private final List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();
    private boolean joined;
    private long from;

    PlayedLog(TopicPartition partition) {
        super("earliest");
        this.partition = partition;
        updateBeginningOffsets(Map.of(partition, 0L));
        updateEndOffsets(Map.of(partition, 0L));
    }

    /** @param record made from its offset */
    synchronized void append(Function<Long, ConsumerRecord<byte[], byte[]>> record) {
        records.add(record.apply((long) records.size()));
    }

    long committedOffset() {
        var committed = committed(Set.of(partition)).get(partition);
        return committed == null ? -1 : committed.offset();
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
            super.seek(partition, 0);
        }
        if (!paused().contains(partition)) {
            for (; from < records.size(); from++) {
                addRecord(records.get((int) from));
            }
        }
        LockSupport.parkNanos(1_000_000);
        return super.poll(Duration.ZERO);
    }
}
