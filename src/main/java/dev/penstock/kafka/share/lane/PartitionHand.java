package dev.penstock.kafka.share.lane;

import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** What this process holds of one partition. It stays when the partition's leader changes. */
public final class PartitionHand {
    public static final int NO_LEADER = -1;

    private final int partition;
    private final PendingAcks acks = new PendingAcks();
    private final Map<Long, TakenRecord> held = new LinkedHashMap<>();

    /** Records whose lock may be gone. The broker is asked for them again. */
    private final Set<Long> doubtful = new HashSet<>();

    private int leader = NO_LEADER;
    private int doubts;

    PartitionHand(int partition) {
        this.partition = partition;
    }

    int partition() {
        return partition;
    }

    int leader() {
        return leader;
    }

    void ledBy(int broker) {
        leader = broker;
    }

    public PendingAcks acks() {
        return acks;
    }

    Map<Long, TakenRecord> held() {
        return held;
    }

    Set<Long> doubtful() {
        return doubtful;
    }

    boolean isIdle() {
        return held.isEmpty() && acks.isEmpty();
    }

    /** The record ends. The broker refuses the acknowledgement if another consumer owns the record. */
    void finish(TakenRecord record, Acknowledgement type) {
        held.remove(record.offset());
        doubtful.remove(record.offset());
        acks.add(record.offset(), record.wasInDoubt() ? type.afterDoubt() : type);
    }

    /** The locks may be gone. A record in flight and a record whose acknowledgement waits are both in doubt. */
    void doubtAll() {
        doubts++;
        held.values().forEach(TakenRecord::doubt);
        acks.doubt();
    }

    /** Returns how often the locks of all records came into doubt. */
    int doubts() {
        return doubts;
    }

    /**
     * The broker has locked a record for this process. An acknowledgement that has waited since an earlier lock does
     * not count: meanwhile another consumer may have had the record.
     *
     * @return whether the record is new here; otherwise its run goes on
     */
    boolean isNew(long offset, int deliveries, long lockedUntil) {
        doubtful.remove(offset);
        TakenRecord here = held.get(offset);
        if (here != null) {
            here.locked(lockedUntil);
            here.delivered(deliveries);
            // it was free in between
            here.doubt();
            return false;
        }
        acks.remove(offset);
        return true;
    }

    @Nullable
    TakenRecord lose(long offset) {
        doubtful.remove(offset);
        return held.remove(offset);
    }

    /** The topic is another one now. */
    void clear() {
        held.clear();
        acks.clear();
        doubtful.clear();
        leader = NO_LEADER;
    }
}
