package dev.penstock.node;

import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * How far a node is held back that refused requests for load: it rests for a moment, then takes no more at once than it
 * had taken, and from then on more step by step. Time is an argument, in milliseconds of one clock. Not thread-safe: guarded
 * by its node.
 */
final class Throttle {
    private static final int OPEN = Integer.MAX_VALUE;
    private static final long FIRST_REST_MILLIS = 100;
    private static final long LONGEST_REST_MILLIS = 5_000;
    /** A server that asks for more is tried by one job now and then: what it says may hold for one model alone. */
    private static final long LONGEST_ASKED_MILLIS = 60_000;

    private static final long STEP_MILLIS = 5_000;

    private int ceiling = OPEN;
    private int nextStep = 1;
    private long steppedMillis;
    private long restsUntilMillis = Long.MIN_VALUE;
    /** Refusals without an answer between them; those of one burst are one. */
    private int inARow;

    /**
     * The node refused a request for load.
     *
     * @param taken how many it has in flight besides
     * @param asked how long it asks to be left alone; null: it does not say
     */
    void refused(int taken, @Nullable Duration asked, long nowMillis) {
        ceiling = Math.min(ceiling, Math.max(1, taken));
        nextStep = 1;
        steppedMillis = nowMillis;
        if (!rests(nowMillis)) {
            inARow++;
            restsUntilMillis = nowMillis + Math.min(LONGEST_REST_MILLIS, FIRST_REST_MILLIS << Math.min(inARow - 1, 10));
        }
        if (asked != null) {
            restsUntilMillis = Math.max(restsUntilMillis, nowMillis + Math.min(LONGEST_ASKED_MILLIS, asked.toMillis()));
        }
    }

    /** The node gave a whole answer. */
    void answered() {
        inARow = 0;
    }

    boolean rests(long nowMillis) {
        return nowMillis < restsUntilMillis;
    }

    /** How many of its own limit the node may have at once now. */
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

    /** How long until it may have more; negative: it has all it may. */
    long changesInMillis(int own, long nowMillis) {
        if (rests(nowMillis)) {
            return restsUntilMillis - nowMillis;
        }
        return limit(own, nowMillis) < own ? steppedMillis + STEP_MILLIS - nowMillis : -1;
    }
}
