package dev.penstock.kafka.share;

import dev.penstock.kafka.share.lane.BrokerCode;
import dev.penstock.kafka.share.lane.LaneStep;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * One member of one share group: a state machine without input and output. The member paces its heartbeats by itself.
 * Fetching needs no assignment, so a member takes records before its first heartbeat.
 */
final class Membership {
    static final int JOINING = 0;
    static final int LEAVING = -1;
    private static final long RETRY_MILLIS = 100;
    private static final long LONGEST_RETRY_MILLIS = 1_000;
    private static final long JOINING_MILLIS = 250;
    private static final long REFUSED_MILLIS = 5_000;
    private static final int MOST_FAST_BEATS = 40;

    private int epoch = JOINING;
    private long nextAt;
    private boolean knowsCoordinator;
    private boolean inFlight;
    private boolean leaving;
    private boolean left;
    private int fastBeats;
    private long retry = RETRY_MILLIS;
    private Set<Integer> assigned = Set.of();

    /** What the member needs now. */
    sealed interface Need {
        /** The broker that coordinates the group. */
        record Coordinator() implements Need {}

        /** @param epoch {@link #JOINING} to join, {@link #LEAVING} to leave */
        record Heartbeat(int epoch) implements Need {}

        record Nothing(long until) implements Need {}
    }

    /**
     * The answer to a heartbeat.
     *
     * @param assigned null: no change
     */
    record Beat(
            BrokerCode code,
            String error,
            int epoch,
            int intervalMillis,
            @Nullable Set<Integer> assigned) {}

    int epoch() {
        return epoch;
    }

    Set<Integer> assigned() {
        return assigned;
    }

    boolean hasLeft() {
        return left;
    }

    boolean isMember() {
        return epoch > 0;
    }

    Need need(long now) {
        if (inFlight || left) {
            return new Need.Nothing(LaneStep.NEVER);
        }
        if (now < nextAt) {
            return new Need.Nothing(nextAt);
        }
        return knowsCoordinator ? new Need.Heartbeat(epoch) : new Need.Coordinator();
    }

    /** The request for the current need has left. */
    void sent() {
        inFlight = true;
        leaving = knowsCoordinator && epoch == LEAVING;
    }

    /** The coordinator is known, or the search failed. */
    void onCoordinator(boolean found, long now) {
        inFlight = false;
        knowsCoordinator = found;
        nextAt = found ? now : now + RETRY_MILLIS;
    }

    /** The connection to the coordinator failed, or its answer did not come. */
    void onDisconnected(long now) {
        inFlight = false;
        knowsCoordinator = false;
        nextAt = now + RETRY_MILLIS;
    }

    /**
     * The coordinator answered.
     *
     * @param assignment the new assignment; the old one if there is no change
     */
    void onHeartbeat(BrokerCode code, int newEpoch, int intervalMillis, Set<Integer> assignment, long now) {
        inFlight = false;
        if (epoch == LEAVING) {
            // the answer may be to the heartbeat before the last one
            left = leaving;
            return;
        }
        nextAt = now + RETRY_MILLIS;
        switch (code) {
            case NONE -> {
                epoch = newEpoch;
                assigned = Set.copyOf(assignment);
                retry = RETRY_MILLIS;
                boolean fast = assigned.isEmpty() && fastBeats < MOST_FAST_BEATS;
                fastBeats = assigned.isEmpty() ? fastBeats + (fast ? 1 : 0) : 0;
                nextAt = now + Math.max(RETRY_MILLIS, fast ? Math.min(JOINING_MILLIS, intervalMillis) : intervalMillis);
            }
            case UNKNOWN_MEMBER -> epoch = JOINING;
            case NOT_COORDINATOR -> knowsCoordinator = false;
            case MOVED -> {
                // the group is gone, or of another kind
                nextAt = now + (epoch == JOINING ? REFUSED_MILLIS : RETRY_MILLIS);
                epoch = JOINING;
            }
            case RETRY, NOT_OURS, SESSION_GONE, SESSION_LIMIT -> {
                nextAt = now + retry;
                retry = Math.min(LONGEST_RETRY_MILLIS, retry * 2);
            }
            case MEMBER_LIMIT, REFUSED -> nextAt = now + REFUSED_MILLIS;
        }
    }

    /** A broker does not know the member. */
    void rejoin(long now) {
        if (epoch > 0) {
            epoch = JOINING;
            nextAt = now;
        }
    }

    /** Leaves the group with the next heartbeat. */
    void leave(long now) {
        left = epoch <= 0;
        epoch = LEAVING;
        nextAt = now;
    }
}
