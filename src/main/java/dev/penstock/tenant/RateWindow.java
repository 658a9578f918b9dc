package dev.penstock.tenant;

import java.util.ArrayDeque;

/**
 * What has begun in the last minute, against a limit of requests and a limit of tokens. Each time is an argument, in
 * milliseconds of one clock. Not thread-safe.
 *
 * <p>A request counts from its begin for {@link #LENGTH_MILLIS}. Its tokens are estimated at its begin and corrected at
 * its end. A request may begin while fewer tokens than the limit count, so the last request may exceed the limit of
 * tokens. Otherwise a request with more tokens than the limit could never begin.
 */
public final class RateWindow {
    /**
     * A minute, and one second. A request may reach its server up to a second after it was sent, and another request may
     * reach the server at once. So the server never receives too many requests within a minute.
     */
    public static final long LENGTH_MILLIS = 61_000;

    private final ArrayDeque<Begun> window = new ArrayDeque<>();
    private Limits limits;
    /** Larger limits that come into force later; the same as {@link #limits} if there are none. */
    private Limits larger;

    private long largerFromMillis;
    private int requests;
    private long tokens;

    /**
     * The limits of one minute.
     *
     * @param requests {@link Integer#MAX_VALUE} for no limit
     * @param tokens {@link Integer#MAX_VALUE} for no limit
     */
    public record Limits(int requests, int tokens) {
        /** No limits. */
        public static final Limits NONE = new Limits(Integer.MAX_VALUE, Integer.MAX_VALUE);

        private Limits least(Limits other) {
            return new Limits(Math.min(requests, other.requests), Math.min(tokens, other.tokens));
        }
    }

    /** Something that counts in the window: a request, or tokens that were found at the end of an earlier request. */
    public static final class Begun {
        private final int requests;
        private long millis;
        private long tokens;
        private boolean counts = true;

        private Begun(long millis, int requests, long tokens) {
            this.millis = millis;
            this.requests = requests;
            this.tokens = tokens;
        }
    }

    public RateWindow(Limits limits) {
        this.limits = limits;
        larger = limits;
    }

    /**
     * Sets the limits. Smaller limits are in force at once. Larger limits are in force after the length of the window:
     * until then, what another replica has begun under its larger share may still count.
     */
    public void limit(Limits now, long nowMillis) {
        grow(nowMillis);
        limits = limits.least(now);
        if (!now.equals(larger)) {
            larger = now;
            largerFromMillis = nowMillis + LENGTH_MILLIS;
        }
    }

    /** Returns the limits in force. */
    public Limits limits(long nowMillis) {
        grow(nowMillis);
        return limits;
    }

    /** Returns whether a request may begin now. */
    public boolean hasRoom(long nowMillis) {
        move(nowMillis);
        return fits(requests, tokens, limits);
    }

    /** Returns how many requests may begin now, by the limit of requests; 0 if the tokens are used up. */
    public int room(long nowMillis) {
        return hasRoom(nowMillis) ? limits.requests - requests : 0;
    }

    /** Returns the milliseconds until a request may begin, if nothing else begins until then; 0 if it may begin now. */
    public long opensInMillis(long nowMillis) {
        if (hasRoom(nowMillis)) {
            return 0;
        }
        long opens = largerFromMillis;
        int left = requests;
        long tokensLeft = tokens;
        for (Begun oldest : window) {
            left -= oldest.requests;
            tokensLeft -= oldest.tokens;
            if (fits(left, tokensLeft, limits)) {
                long leaves = oldest.millis + LENGTH_MILLIS;
                opens = limits.equals(larger) ? leaves : Math.min(opens, leaves);
                break;
            }
        }
        return Math.max(1, opens - nowMillis);
    }

    /**
     * Counts a request that begins now.
     *
     * @param estimate its tokens, estimated
     */
    public Begun begin(long estimate, long nowMillis) {
        move(nowMillis);
        return add(new Begun(nowMillis, 1, Math.max(0, estimate)));
    }

    /** Lets a request count from now on, because it is sent to its server only now. */
    public void sent(Begun begun, long nowMillis) {
        move(nowMillis);
        if (begun.counts && begun.millis < nowMillis && window.remove(begun)) {
            begun.millis = nowMillis;
            window.add(begun);
        }
    }

    /**
     * Replaces the estimate of a request's tokens. If the request does not count any more, only the tokens above the
     * estimate count, from now on.
     */
    public void correct(Begun begun, long actual, long nowMillis) {
        move(nowMillis);
        if (begun.counts) {
            tokens += actual - begun.tokens;
            begun.tokens = actual;
        } else if (actual > begun.tokens) {
            add(new Begun(nowMillis, 0, actual - begun.tokens));
            begun.tokens = actual;
        }
    }

    /** Returns the requests that count now. */
    public int requests(long nowMillis) {
        move(nowMillis);
        return requests;
    }

    /** Returns the tokens that count now. */
    public long tokens(long nowMillis) {
        move(nowMillis);
        return tokens;
    }

    private Begun add(Begun begun) {
        if (limits.equals(Limits.NONE) && larger.equals(Limits.NONE)) {
            begun.counts = false;
            return begun;
        }
        window.add(begun);
        requests += begun.requests;
        tokens += begun.tokens;
        return begun;
    }

    private static boolean fits(int requests, long tokens, Limits limits) {
        return requests < limits.requests && tokens < limits.tokens;
    }

    private void move(long nowMillis) {
        grow(nowMillis);
        while (!window.isEmpty() && window.getFirst().millis + LENGTH_MILLIS <= nowMillis) {
            Begun gone = window.removeFirst();
            gone.counts = false;
            requests -= gone.requests;
            tokens -= gone.tokens;
        }
    }

    private void grow(long nowMillis) {
        if (nowMillis >= largerFromMillis) {
            limits = larger;
        }
    }
}
