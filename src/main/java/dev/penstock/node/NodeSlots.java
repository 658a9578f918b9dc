package dev.penstock.node;

import dev.penstock.job.JobFailure;
import dev.penstock.job.Usage;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * The requests of this replica at one node, and the number that it may have at once: this replica's share of the node's
 * limit, less for a while after the node refused requests for load, and none or one while the breaker is not closed.
 * Time is an argument, in milliseconds of one clock. Not thread-safe: its node guards it.
 */
final class NodeSlots {
    private final String node;
    private final Breaker.Rules rules;
    private final Throttle throttle = new Throttle();
    private final LearntRates rates = new LearntRates();
    private Breaker breaker = Breaker.Closed.FIRST;
    /** The number of the latest request. */
    private long latest;

    private int inFlight;
    /** The largest number of requests at once from all replicas together. */
    private int total;

    private Replicas replicas = Replicas.ALONE;
    /** This replica's share of the limit. */
    private int limit;
    /** The number of requests that the node refused for load. */
    private long refusals;

    /** One request at the node. */
    static final class Held {
        private final long number;
        /* Guarded by the node. */
        private long promptChars;
        private final double tokens;
        private final long begunMillis;
        /** The time of its last token; before its first token, the time of its start. */
        private volatile long heardMillis;

        private volatile boolean spoke;
        /* Guarded by the node. */
        private boolean ended;

        private Held(long number, long promptChars, double tokens, long nowMillis) {
            this.number = number;
            this.promptChars = promptChars;
            this.tokens = tokens;
            begunMillis = nowMillis;
            heardMillis = nowMillis;
        }

        /**
         * Notes a token of the answer. Only the thread of the run calls it.
         *
         * @return whether it is the first
         */
        boolean heard(long nowMillis) {
            heardMillis = nowMillis;
            boolean first = !spoke;
            spoke = true;
            return first;
        }

        long lasts(long nowMillis) {
            return Math.max(0, nowMillis - begunMillis);
        }
    }

    NodeSlots(String node, int total, Breaker.Rules rules) {
        this.node = node;
        this.rules = rules;
        this.total = total;
        limit = replicas.share(node, total);
    }

    int inFlight() {
        return inFlight;
    }

    int limit() {
        return limit;
    }

    /** Returns how many requests the node may have at once now. */
    int limitAt(long nowMillis) {
        return breaker instanceof Breaker.Closed ? throttle.limit(limit, nowMillis) : Math.min(1, limit);
    }

    /** Returns whether one more request may begin now. */
    boolean areFree(long nowMillis) {
        return !throttle.rests(nowMillis) && breaker.allows(nowMillis) && inFlight < throttle.limit(limit, nowMillis);
    }

    Breaker breaker() {
        return breaker;
    }

    LearntRates rates() {
        return rates;
    }

    Held take(long promptChars, long nowMillis) {
        inFlight++;
        Held held = new Held(++latest, promptChars, rates.tokens(promptChars), nowMillis);
        breaker = breaker.begun(held.number, nowMillis, rules);
        rates.begun(held.tokens, nowMillis);
        return held;
    }

    /** Notes that a request has only this part of its prompt, so that its usage teaches the right ratio. */
    void shortened(Held held, long promptChars) {
        held.promptChars = promptChars;
    }

    /** Notes the first token of a request's answer. */
    void spoke(Held held, long nowMillis) {
        rates.spoke(held.tokens, nowMillis);
    }

    /**
     * Notes that the node gave a whole answer.
     *
     * @param seconds the time from the first token to the last token
     */
    void answered(Held held, Usage usage, double seconds) {
        throttle.answered();
        rates.answered(usage.completionTokens(), seconds);
        rates.counted(held.promptChars, usage.promptTokens());
        if (!held.ended) {
            held.ended = true;
            breaker = breaker.answered(held.number, latest, rules);
        }
    }

    /**
     * Notes that a request has failed.
     *
     * @param heardMillis the time of the last token of any request
     */
    void failed(Held held, JobFailure.Code code, long heardMillis, long nowMillis) {
        if (!held.ended) {
            held.ended = true;
            breaker = breaker.failed(held.number, blame(held, code, heardMillis), nowMillis, rules);
        }
    }

    private static Breaker.Blame blame(Held held, JobFailure.Code code, long heardMillis) {
        return switch (code) {
            case NODE_UNREACHABLE, STREAM_BROKEN -> Breaker.Blame.CONNECTION;
            case NODE_ERROR, NODE_UNAUTHORIZED -> Breaker.Blame.ONE;
            case FIRST_TOKEN_TIMEOUT, IDLE_TIMEOUT ->
                heardMillis <= held.heardMillis ? Breaker.Blame.ALL : Breaker.Blame.ONE;
            case INVALID_REQUEST,
                    UNSUPPORTED_MEDIA_TYPE,
                    TOO_LARGE,
                    UNAUTHORIZED,
                    FORBIDDEN,
                    NOT_FOUND,
                    ID_CONFLICT,
                    RATE_LIMITED,
                    MODEL_NOT_FOUND,
                    CONTEXT_LENGTH_EXCEEDED,
                    NODE_OVERLOADED,
                    TIMEOUT,
                    NO_NODE,
                    BROKER_UNAVAILABLE,
                    LEDGER_UNAVAILABLE,
                    POISON,
                    LOST,
                    INTERNAL -> Breaker.Blame.NONE;
        };
    }

    /** Notes that the cause of the request's end is not the node. */
    void excused(Held held) {
        held.ended = true;
    }

    void free(Held held, long nowMillis) {
        inFlight--;
        if (!held.spoke) {
            rates.gone(held.tokens, nowMillis);
        }
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
     * Notes that a limit of the node is used up.
     *
     * @return the number of the event among the refusals
     */
    long usedUp(Duration untilReset, long nowMillis) {
        throttle.usedUp(untilReset, nowMillis);
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
