package dev.penstock.node.limits;

/**
 * Learns how many requests a node takes at once before its first tokens come late. The limit rises by one after a window
 * of first tokens that came in time while the limit was in use. It falls by a fifth after a window of late ones. What is
 * late follows from the shortest time that a window took: the baseline. The baseline rises slowly, so a node that has
 * become slower gets its requests back. Until the first late window, the limit doubles. Not thread-safe.
 */
public final class AdaptiveLimit {
    /** A window of first tokens is late if it takes this many times the baseline. */
    static final double LATE = 1.5;
    /** A window that takes less than this much longer than the baseline is never late. */
    static final double LATE_MILLIS = 50;

    private static final double FALL = 0.8;
    private static final double BASELINE_RISE = 1.02;
    private static final int SHORTEST_WINDOW = 8;

    private int least;
    private int most;
    private int limit;
    private boolean isNew = true;
    /** NaN before the first window. */
    private double baselineMillis = Double.NaN;

    private double sumMillis;
    private int count;
    private boolean wasFull;
    /** Requests that began earlier than this belong to another limit. */
    private long sinceMillis = Long.MIN_VALUE;

    /**
     * @param least the smallest limit
     * @param most the largest limit
     */
    public AdaptiveLimit(int least, int most) {
        this.least = Math.min(least, most);
        this.most = most;
        limit = this.least;
    }

    /** Sets the range of the limit. */
    public void range(int smallest, int largest) {
        least = Math.min(smallest, largest);
        most = largest;
        limit = Math.clamp(limit, least, most);
    }

    /** Returns how many requests the node may have at once. */
    public int limit() {
        return limit;
    }

    /** Notes that a request begins. */
    public void begun(int inFlight) {
        wasFull |= inFlight >= limit;
    }

    /**
     * Notes the first token of a request.
     *
     * @param begunMillis the time of the request's begin
     */
    public void firstToken(long begunMillis, long nowMillis) {
        if (begunMillis < sinceMillis) {
            return;
        }
        sumMillis += nowMillis - begunMillis;
        count++;
        if (count >= Math.max(SHORTEST_WINDOW, limit)) {
            decide(sumMillis / count, nowMillis);
        }
    }

    private void decide(double millis, long nowMillis) {
        boolean isLate = millis > Math.max(LATE * baselineMillis, baselineMillis + LATE_MILLIS);
        boolean isNotOurs = isLate && limit == least;
        baselineMillis = Double.isNaN(baselineMillis) || millis < baselineMillis || isNotOurs
                ? millis
                : Math.min(millis, baselineMillis * BASELINE_RISE);
        int before = limit;
        if (isLate) {
            limit = Math.max(least, Math.min(limit - 1, (int) (limit * FALL)));
            isNew = false;
        } else if (wasFull) {
            limit = Math.min(most, isNew ? limit * 2 : limit + 1);
        }
        if (limit != before) {
            sinceMillis = nowMillis;
        }
        sumMillis = 0;
        count = 0;
        wasFull = false;
    }
}
