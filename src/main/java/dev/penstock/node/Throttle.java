package dev.penstock.node;

import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * Limits a node that refused requests for load. First the node rests for a moment. Then it takes no more requests at
 * once than it had in flight. From then on its limit rises step by step. Time is an argument, in milliseconds of one
 * clock. Not thread-safe: its node guards it.
 */
final class Throttle {
    private static final int OPEN = Integer.MAX_VALUE;
    private static final long FIRST_REST_MILLIS = 100;
    private static final long LONGEST_REST_MILLIS = 5_000;
    /**
     * The longest wait that a server can ask for. After it one job tries the server, because the server's wait may
     * hold for one model only.
     */
    private static final long LONGEST_ASKED_MILLIS = 60_000;

    private static final long STEP_MILLIS = 5_000;

    private int ceiling = OPEN;
    private int nextStep = 1;
    private long steppedMillis;
    private long restsUntilMillis = Long.MIN_VALUE;
    /** Refusals without an answer between them; a burst counts as one. */
    private int inARow;

    /**
     * The node refused a request for load.
     *
     * @param taken the number of its other requests in flight
     * @param retryAfter the wait that it asks for; null if it asks for none
     */
    void refused(int taken, @Nullable Duration retryAfter, long nowMillis) {
        ceiling = Math.min(ceiling, Math.max(1, taken));
        nextStep = 1;
        steppedMillis = nowMillis;
        if (!rests(nowMillis)) {
            inARow++;
            restsUntilMillis = nowMillis + Math.min(LONGEST_REST_MILLIS, FIRST_REST_MILLIS << Math.min(inARow - 1, 10));
        }
        if (retryAfter != null) {
            restsUntilMillis =
                    Math.max(restsUntilMillis, nowMillis + Math.min(LONGEST_ASKED_MILLIS, retryAfter.toMillis()));
        }
    }

    /** The node gave a whole answer. */
    void answered() {
        inARow = 0;
    }

    boolean rests(long nowMillis) {
        return nowMillis < restsUntilMillis;
    }

    /** Returns the number of requests that the node may have at once now; at most its own limit. */
    int limit(int own, long nowMillis) {
        while (ceiling < own && nowMillis - steppedMillis >= STEP_MILLIS) {
            ceiling += nextStep;
            nextStep = Math.min(nextStep * 2, own);
            steppedMillis += STEP_MILLIS;
        }
        if (ceiling >= own) {
            ceiling = OPEN;
        }
        return Math.min(own, ceiling);
    }

    /** Returns the time until the limit rises, in milliseconds; negative if it is the full limit. */
    long changesInMillis(int own, long nowMillis) {
        if (rests(nowMillis)) {
            return restsUntilMillis - nowMillis;
        }
        return limit(own, nowMillis) < own ? steppedMillis + STEP_MILLIS - nowMillis : -1;
    }
}
