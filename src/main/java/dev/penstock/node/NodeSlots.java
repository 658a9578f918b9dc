package dev.penstock.node;

import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * The number of requests that one node may have at once: this replica's share of the node's limit, and less for a while
 * after the node refused requests for load. Time is an argument, in milliseconds of one clock. Not thread-safe: its
 * node guards it.
 */
final class NodeSlots {
    private final String node;
    private final Throttle throttle = new Throttle();
    private int inFlight;
    /** The largest number of requests at once from all replicas together. */
    private int total;

    private Replicas replicas = Replicas.ALONE;
    /** This replica's share of the limit. */
    private int limit;
    /** The number of requests that the node refused for load. */
    private long refusals;

    NodeSlots(String node, int total) {
        this.node = node;
        this.total = total;
        limit = replicas.share(node, total);
    }

    int inFlight() {
        return inFlight;
    }

    int limit() {
        return limit;
    }

    int limitAt(long nowMillis) {
        return throttle.limit(limit, nowMillis);
    }

    /** Returns whether one more request may begin now. */
    boolean areFree(long nowMillis) {
        return !throttle.rests(nowMillis) && inFlight < limitAt(nowMillis);
    }

    void take() {
        inFlight++;
    }

    void free() {
        inFlight--;
    }

    /** Applies the replica's new share. Running requests continue, even above the new share. */
    void share(Replicas now) {
        replicas = now;
        limit = replicas.share(node, total);
    }

    /**
     * Sets the limit for all replicas together.
     *
     * @return whether this replica's share has grown
     */
    boolean total(int ofAll) {
        int before = limit;
        total = ofAll;
        limit = replicas.share(node, ofAll);
        return limit > before;
    }

    /** Notes that the node gave a whole answer. */
    void answered() {
        throttle.answered();
    }

    /**
     * Notes that the node refused a request because of its load. The request still has its slot.
     *
     * @param retryAfter the wait that the node asks for; null if it asks for none
     * @return the number of the refusal
     */
    long refused(@Nullable Duration retryAfter, long nowMillis) {
        throttle.refused(inFlight - 1, retryAfter, nowMillis);
        return ++refusals;
    }

    /**
     * Returns the time until the limit rises, in milliseconds. It is negative if the node has its full limit, or if a
     * later refusal has replaced this one.
     */
    long changeInMillis(long refusal, long nowMillis) {
        return refusal == refusals ? throttle.changesInMillis(limit, nowMillis) : -1;
    }

    /** Returns a warning if the replicas together may exceed the node's limit; null if they do not. */
    @Nullable
    String exceeded() {
        return replicas.exceed(total)
                ? "node '%s' takes %d at once, and there are %d replicas, each of which takes one at least: it may get %d at once. Run fewer replicas, or raise max-in-flight"
                        .formatted(node, total, replicas.count(), replicas.count())
                : null;
    }
}
