package dev.penstock.kafka.share.lane;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** What this process holds of one topic, over all its lanes. */
public final class TopicHand {
    private static final int DEFAULT_LOCK_MILLIS = 30_000;

    private final Map<Integer, PartitionHand> partitions = new TreeMap<>();
    private final List<Loss> losses = new ArrayList<>();
    private final ShareCounts counts = new ShareCounts();
    private int room;
    private int least;
    private int lockMillis = DEFAULT_LOCK_MILLIS;
    private boolean metadataWanted;
    private boolean rejoinWanted;

    /** Null: all partitions are fetched. */
    private @Nullable Set<Integer> assigned;

    /** A record whose lock is gone. */
    public record Loss(TakenRecord record, String why) {}

    /**
     * Sets how many records this process may have in flight.
     *
     * @param fewest so many whatever the other topics have
     */
    public void room(int fewest, int most) {
        least = Math.min(fewest, most);
        room = most;
    }

    int least() {
        return least;
    }

    int room() {
        return room;
    }

    public int lockMillis() {
        return lockMillis;
    }

    void lockLasts(int millis) {
        if (millis > 0) {
            lockMillis = millis;
        }
    }

    public ShareCounts counts() {
        return counts;
    }

    public PartitionHand partition(int partition) {
        return partitions.computeIfAbsent(partition, PartitionHand::new);
    }

    Collection<PartitionHand> partitions() {
        return partitions.values();
    }

    public int held() {
        int held = 0;
        for (PartitionHand partition : partitions.values()) {
            held += partition.held().size();
        }
        return held;
    }

    void lose(PartitionHand partition, long offset, String why) {
        TakenRecord lost = partition.lose(offset);
        if (lost != null) {
            counts.lost++;
            losses.add(new Loss(lost, why));
        }
    }

    /** Removes and returns the records that were lost. */
    public List<Loss> takeLosses() {
        List<Loss> all = List.copyOf(losses);
        losses.clear();
        return all;
    }

    /** The leaders may have changed. */
    void wantMetadata() {
        metadataWanted = true;
    }

    /** A request or its part for one partition failed. */
    void failed(BrokerCode code) {
        switch (code) {
            case NONE, SESSION_GONE, SESSION_LIMIT, MEMBER_LIMIT, REFUSED -> {}
            case NOT_OURS, MOVED, NOT_COORDINATOR, RETRY -> metadataWanted = true;
            case UNKNOWN_MEMBER -> {
                // the group does not know the member, or has not assigned the partition to it
                metadataWanted = true;
                rejoinWanted = true;
            }
        }
    }

    public boolean takeMetadataWanted() {
        boolean wanted = metadataWanted;
        metadataWanted = false;
        return wanted;
    }

    public boolean takeRejoinWanted() {
        boolean wanted = rejoinWanted;
        rejoinWanted = false;
        return wanted;
    }

    /** From now on, only these partitions are fetched. */
    public void fetchOnly(Set<Integer> onlyThese) {
        assigned = Set.copyOf(onlyThese);
    }

    /** Returns whether the broker may deliver from this partition. One with something in flight stays in the session. */
    boolean isWanted(PartitionHand partition) {
        return assigned == null || assigned.contains(partition.partition()) || !partition.isIdle();
    }
}
