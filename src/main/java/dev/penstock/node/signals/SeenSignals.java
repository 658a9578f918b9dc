package dev.penstock.node.signals;

/**
 * The latest signals of a node.
 *
 * @param atMillis the time when they arrived
 */
public record SeenSignals(SignalSource source, OtherWork others, long atMillis) {
    public long ageMillis(long nowMillis) {
        return Math.max(0, nowMillis - atMillis);
    }

    /** Returns whether they are too old to be used. */
    public boolean isStale(long nowMillis) {
        return ageMillis(nowMillis) > OtherWork.FRESH_FOR.toMillis();
    }

    /** Returns the work of others; none if the signals are too old. */
    public OtherWork now(long nowMillis) {
        return isStale(nowMillis) ? OtherWork.NONE : others;
    }
}
