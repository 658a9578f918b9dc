package dev.penstock.job;

import org.jspecify.annotations.Nullable;

/**
 * The reading rule: how far one job has been read, in the order of its partition.
 *
 * <p>Delivery is at least once, so a crash can leave stale events in the log. A {@code started} or an outcome with a
 * higher attempt takes over; an event with the current attempt and run is valid; everything else is void; a valid
 * outcome closes the job. So every reader sees the same, and every job has at most one outcome, without locks and
 * without a database.
 *
 * @param attempt the attempt that counts; −1 before any event
 * @param run the run that counts; null before any event
 * @param outcome what closed the job; null while it is open
 */
public record Reading(int attempt, @Nullable String run, EventMark.@Nullable Kind outcome) {
    public static final Reading START = new Reading(-1, null, null);

    /** What an event is to a reader. */
    public enum Verdict {
        /** Valid, and everything of lower attempts is over. */
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

    /** How far the job has been read after this event. */
    public Reading after(EventMark event) {
        return switch (judge(event)) {
            case VOID -> this;
            case VALID -> event.kind().isOutcome() ? new Reading(attempt, run, event.kind()) : this;
            case TAKES_OVER ->
                new Reading(event.attempt(), event.run(), event.kind().isOutcome() ? event.kind() : null);
        };
    }

    /** The attempt that a further run, or an outcome that no attempt leads to, has to take. */
    public int nextRunAttempt() {
        return Math.max(attempt, 0) + 1;
    }

    /** The attempt of an outcome that no attempt led to: 0 for a job that never started. */
    public int nextOutcomeAttempt() {
        return attempt + 1;
    }
}
