package dev.penstock.kafka.share.lane;

import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** What this process holds of one partition. It stays when the partition's leader changes. */
public final class PartitionHand {
    public static final int NO_LEADER = -1;

    /** The memory of acknowledgements that the broker refused. */
    private static final int SETTLED_MOST = 10_000;

    private final int partition;
    private final PendingAcks acks = new PendingAcks();
    private final Map<Long, TakenRecord> held = new LinkedHashMap<>();

    /** Records whose lock may be gone. The broker is asked for them again. */
    private final Set<Long> doubtful = new HashSet<>();

    /** Records that are done here although the broker refused to hear it. If they come again, they are done at once. */
    private final Map<Long, Acknowledgement> settled = new LinkedHashMap<>();

    private int leader = NO_LEADER;

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

    /** The record ends. A doubtful one is acknowledged when it comes again. */
    void finish(long offset, Acknowledgement type) {
        held.remove(offset);
        if (doubtful.contains(offset)) {
            settle(offset, type);
        } else {
            acks.add(offset, type);
        }
    }

    /** The broker does not take the acknowledgement now. */
    void settle(long offset, Acknowledgement type) {
        if (type.isFinal()) {
            settled.put(offset, type);
            if (settled.size() > SETTLED_MOST) {
                settled.remove(settled.keySet().iterator().next());
            }
        }
    }

    /**
     * The broker has locked a record for this process.
     *
     * @return whether the record is new here; otherwise its run goes on, or it is acknowledged
     */
    boolean isNew(long offset, int deliveries, long lockedUntil) {
        doubtful.remove(offset);
        TakenRecord here = held.get(offset);
        if (here != null) {
            here.locked(lockedUntil);
            here.delivered(deliveries);
            return false;
        }
        if (acks.has(offset)) {
            return false;
        }
        Acknowledgement type = settled.remove(offset);
        if (type != null) {
            acks.add(offset, type);
            return false;
        }
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
        settled.clear();
        leader = NO_LEADER;
    }
}
