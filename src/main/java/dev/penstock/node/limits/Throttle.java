package dev.penstock.node.limits;

import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * Limits a node that refused requests because of its load, or whose own limit is used up. After a refusal, the node
 * first gets no requests for a moment. Then it gets at most as many requests at once as it had in flight when it
 * refused. After that, this limit rises step by step. If its own limit is used up, it gets no requests until the reset.
 * Times are arguments, in milliseconds of one clock. Not thread-safe: its node guards it.
 */
public final class Throttle {
    private static final int OPEN = Integer.MAX_VALUE;
    private static final long FIRST_REST_MILLIS = 100;
    private static final long LONGEST_REST_MILLIS = 5_000;
    /**
     * The longest wait that a server can request. After this wait one job tries the server, because the request may
     * concern only one model.
     */
    private static final long LONGEST_ASKED_MILLIS = 60_000;

    /** The longest wait for the reset of a used-up limit. A limit may concern only one model too. */
    private static final long LONGEST_RESET_MILLIS = 600_000;

    private static final long STEP_MILLIS = 5_000;

    private int ceiling = OPEN;
    private int nextStep = 1;
    private long steppedMillis;
    private long restsUntilMillis = Long.MIN_VALUE;
    /** The number of refusals in a row, without an answer between them. A burst counts as one refusal. */
    private int inARow;

    /**
     * Notes that the node refused a request because of its load.
     *
     * @param taken the number of its other requests in flight
     * @param retryAfter the wait that the node asks for; null if it asks for none
     */
    public void refused(int taken, @Nullable Duration retryAfter, long nowMillis) {
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

    /** Notes that a limit of the node is used up, and when it is reset. The node has refused nothing yet. */
    public void usedUp(Duration untilReset, long nowMillis) {
        restsUntilMillis =
                Math.max(restsUntilMillis, nowMillis + Math.min(LONGEST_RESET_MILLIS, untilReset.toMillis()));
    }

    /** Notes that the node gave a whole answer. */
    public void answered() {
        inARow = 0;
    }

    public boolean rests(long nowMillis) {
        return nowMillis < restsUntilMillis;
    }

    /** Returns how many requests the node may have at once now. This is at most the node's own limit. */
    public int limit(int own, long nowMillis) {
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

    /** Returns the milliseconds until the limit may rise; negative if the node has its full limit. */
    public long changesInMillis(int own, long nowMillis) {
        if (rests(nowMillis)) {
            return restsUntilMillis - nowMillis;
        }
        return limit(own, nowMillis) < own ? steppedMillis + STEP_MILLIS - nowMillis : -1;
    }
}
