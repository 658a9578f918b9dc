package dev.penstock.job;

import org.jspecify.annotations.Nullable;

/**
 * The reading rule: the state of one job after all of its events so far, read in the order of the partition.
 *
 * <p>Delivery is at least once, so a crash can leave stale events in the log. A {@code started} or an outcome with a
 * higher attempt number takes over from the current attempt. An event with the current attempt and run is valid. Every
 * other event is void. A valid outcome closes the job. So all readers come to the same result, and every job has at
 * most one outcome. This needs no locks and no database.
 *
 * @param attempt the current attempt; −1 before any event
 * @param run the current run; null before any event
 * @param outcome the kind of the event that closed the job; null while the job is open
 */
public record Reading(int attempt, @Nullable String run, EventMark.@Nullable Kind outcome) {
    public static final Reading START = new Reading(-1, null, null);

    /** How a reader must treat an event. */
    public enum Verdict {
        /** The event is valid, and makes all lower attempts void. */
        TAKES_OVER,
        VALID,
        VOID
    }

    public boolean isClosed() {
        return outcome != null;
    }

    public Verdict judge(EventMark event) {
        if (isClosed() || event.kind() == EventMark.Kind.REJECTED) {
            return Verdict.VOID;
        }
        boolean mayTakeOver =
                event.kind() == EventMark.Kind.STARTED || event.kind().isOutcome();
        if (mayTakeOver && event.attempt() > attempt) {
            return Verdict.TAKES_OVER;
        }
        return event.attempt() == attempt && event.run().equals(run) ? Verdict.VALID : Verdict.VOID;
    }

    /** Returns the state after this event. */
    public Reading after(EventMark event) {
        return switch (judge(event)) {
            case VOID -> this;
            case VALID -> event.kind().isOutcome() ? new Reading(attempt, run, event.kind()) : this;
            case TAKES_OVER ->
                new Reading(event.attempt(), event.run(), event.kind().isOutcome() ? event.kind() : null);
        };
    }

    /** Returns the number of the next run's first attempt. An outcome that is published again uses this number too. */
    public int nextRunAttempt() {
        return Math.max(attempt, 0) + 1;
    }

    /** Returns the attempt number for an outcome without an attempt of its own; 0 for a job that never started. */
    public int nextOutcomeAttempt() {
        return attempt + 1;
    }
}
