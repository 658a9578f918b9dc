package dev.penstock.schedule.preempt;

import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/**
 * A running attempt, as far as the scheduler has to know it, and the way to ask it to stop. The thread of the run
 * reports the attempt's progress, and looks whether it was asked. Thread-safe.
 */
public final class RunningAttempt {
    /** The assumed length of an answer, in tokens, if neither the request nor the node tells more. */
    private static final long USUAL = 512;

    private volatile String node;
    private volatile long left = USUAL;
    private volatile boolean goesOn = true;
    private volatile boolean asked;
    private volatile boolean givesReplicaSlot;
    private volatile @Nullable Runnable waker;

    /** Creates an attempt that has not spoken yet, so it may stop. */
    public RunningAttempt(String node) {
        this.node = node;
    }

    /** Notes that the attempt goes on at this node. */
    public void movedTo(String now) {
        node = now;
    }

    /**
     * Notes the progress of the answer.
     *
     * @param limit the most tokens of the attempt's own part; empty if there is no limit
     * @param mean the mean number of tokens of the node's answers; null if it is not known
     * @param written the tokens of the attempt's own part so far
     * @param all the tokens of the whole answer so far
     */
    public void wrote(OptionalLong limit, @Nullable Long mean, long written, long all) {
        left = Math.max(0, limit.isPresent() ? limit.getAsLong() - written : (mean == null ? USUAL : mean) - all);
    }

    /** Notes whether the answer can go on later if the attempt stops now. */
    public void mayStop(boolean now) {
        goesOn = now;
    }

    /** Sets the action with which a request to stop wakes the thread of the run. */
    public void wakeBy(Runnable newWaker) {
        waker = newWaker;
        if (asked) {
            newWaker.run();
        }
    }

    /**
     * Asks the attempt to stop.
     *
     * @param givesUpReplicaSlot whether its run gives back its slot of the replica too
     */
    public void ask(boolean givesUpReplicaSlot) {
        givesReplicaSlot = givesUpReplicaSlot;
        asked = true;
        Runnable waiting = waker;
        if (waiting != null) {
            waiting.run();
        }
    }

    /** Returns whether the attempt was asked to stop. */
    public boolean isAsked() {
        return asked;
    }

    /** Returns whether the run gives back its slot of the replica when it stops. */
    public boolean givesReplicaSlot() {
        return givesReplicaSlot;
    }

    String node() {
        return node;
    }

    /** Returns an estimate of the tokens that the answer still needs. */
    long left() {
        return left;
    }

    boolean mayStop() {
        return goesOn && !asked;
    }
}
