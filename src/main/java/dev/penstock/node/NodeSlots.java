package dev.penstock.node;

import dev.penstock.job.JobFailure;
import dev.penstock.job.Usage;
import dev.penstock.node.limits.AdaptiveLimit;
import dev.penstock.node.limits.Throttle;
import dev.penstock.settings.NodeSettings;
import dev.penstock.tenant.RateWindow;
import dev.penstock.tenant.TokenEstimate;
import java.time.Duration;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;

/**
 * The requests of this replica at one node, and the number that it may have at once: this replica's share of the node's
 * limit, less for a while after the node refused requests for load, and none or one while the breaker is not closed. If
 * the limit is adaptive, the node may get less than the share. No request begins while the last minute has as many
 * requests or tokens as it may have.
 * Time is an argument, in milliseconds of one clock. Not thread-safe: its node guards it.
 */
final class NodeSlots {
    private final String node;
    private final Breaker.Rules rules;
    private final Throttle throttle = new Throttle();
    private final LearntRates rates = new LearntRates();
    private final NodeSettings.Limits limits;
    private final RateWindow window;
    private final TokenEstimate answers = new TokenEstimate();
    /** Null if the limit is not adaptive. */
    private final @Nullable AdaptiveLimit adaptive;

    private Breaker breaker = Breaker.Closed.FIRST;
    /** The number of the latest request. */
    private long latest;

    private int inFlight;
    /** How many of the requests in flight are direct calls. */
    private int calls;
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
        private final boolean isCall;
        /* Guarded by the node. */
        private long promptChars;
        private final double tokens;
        private final RateWindow.Begun begun;
        private final long begunMillis;
        private volatile long sentMillis;
        /** The time of its last token; before its first token, the time of its start. */
        private volatile long heardMillis;

        private volatile boolean spoke;
        /* Guarded by the node. */
        private boolean ended;

        private Held(
                long number, boolean isCall, long promptChars, double tokens, RateWindow.Begun begun, long nowMillis) {
            this.number = number;
            this.isCall = isCall;
            this.promptChars = promptChars;
            this.tokens = tokens;
            this.begun = begun;
            begunMillis = nowMillis;
            sentMillis = nowMillis;
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

        long begunMillis() {
            return begunMillis;
        }

        long lasts(long nowMillis) {
            return Math.max(0, nowMillis - begunMillis);
        }
    }

    /** @param total the largest number of requests at once from all replicas together */
    NodeSlots(String node, int total, NodeSettings.Limits limits, Breaker.Rules rules) {
        this.node = node;
        this.limits = limits;
        this.rules = rules;
        this.total = total;
        window = new RateWindow(perMinute());
        adaptive = limits.adaptive() ? new AdaptiveLimit(limits.minInFlight(), total) : null;
        limit = replicas.share(node, total);
    }

    private RateWindow.Limits perMinute() {
        return new RateWindow.Limits(share(limits.requestsPerMinute()), share(limits.tokensPerMinute()));
    }

    private int share(OptionalInt ofAll) {
        return ofAll.isPresent() ? replicas.share(node, ofAll.getAsInt()) : Integer.MAX_VALUE;
    }

    int inFlight() {
        return inFlight;
    }

    int calls() {
        return calls;
    }

    /** Returns this replica's share of the limit; less if the limit is adaptive. */
    int limit() {
        return adaptive == null ? limit : Math.min(limit, adaptive.limit());
    }

    /** Returns how many requests the node may have at once now. */
    int limitAt(long nowMillis) {
        return breaker instanceof Breaker.Closed ? throttle.limit(limit(), nowMillis) : Math.min(1, limit());
    }

    /** Returns how many requests the node may have at once now, if no more begin than the last minute has room for. */
    int capacityAt(long nowMillis) {
        return (int) Math.min(limitAt(nowMillis), (long) inFlight + window.room(nowMillis));
    }

    /** Returns whether one more request may begin now. */
    boolean areFree(long nowMillis) {
        return !rests(nowMillis) && breaker.allows(nowMillis) && inFlight < throttle.limit(limit(), nowMillis);
    }

    /** Returns whether no request may begin now, even if another one ends. */
    boolean rests(long nowMillis) {
        return throttle.rests(nowMillis) || !window.hasRoom(nowMillis);
    }

    /** Returns the milliseconds until the last minute has room for a request; 0 if it has room now. */
    long windowOpensInMillis(long nowMillis) {
        return window.opensInMillis(nowMillis);
    }

    /** Returns which limit of a minute is used up; null if none is. */
    @Nullable
    String fullMinute(long nowMillis) {
        if (window.hasRoom(nowMillis)) {
            return null;
        }
        RateWindow.Limits now = window.limits(nowMillis);
        return window.requests(nowMillis) >= now.requests()
                ? "%d of %d requests in the last minute".formatted(window.requests(nowMillis), now.requests())
                : "%d of %d tokens in the last minute".formatted(window.tokens(nowMillis), now.tokens());
    }

    Breaker breaker() {
        return breaker;
    }

    LearntRates rates() {
        return rates;
    }

    Held take(long promptChars, boolean isCall, long nowMillis) {
        inFlight++;
        calls += isCall ? 1 : 0;
        double tokens = rates.tokens(promptChars);
        RateWindow.Begun begun = window.begin(Math.round(tokens) + answers.answer(), nowMillis);
        Held held = new Held(++latest, isCall, promptChars, tokens, begun, nowMillis);
        if (adaptive != null) {
            adaptive.begun(inFlight);
        }
        breaker = breaker.begun(held.number, nowMillis, rules);
        rates.begun(held.tokens, nowMillis);
        return held;
    }

    /** Notes that a request has only this part of its prompt, so that its usage teaches the right ratio. */
    void shortened(Held held, long promptChars) {
        held.promptChars = promptChars;
    }

    /** Notes that a request is sent to the server. The time before, for media, is not the server's. */
    void sent(Held held, long nowMillis) {
        held.sentMillis = nowMillis;
        window.sent(held.begun, nowMillis);
    }

    /** Notes the first token of a request's answer. */
    void spoke(Held held, long nowMillis) {
        rates.spoke(held.tokens, nowMillis);
        if (adaptive != null) {
            adaptive.firstToken(held.sentMillis, nowMillis);
        }
    }

    /**
     * Notes that the node gave a whole answer.
     *
     * @param seconds the time from the first token to the last token
     */
    void answered(Held held, Usage usage, double seconds, long nowMillis) {
        throttle.answered();
        answers.answered(usage.completionTokens());
        window.correct(held.begun, usage.promptTokens() + usage.completionTokens(), nowMillis);
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
                    INVALID_RESULT,
                    NO_NODE,
                    BROKER_UNAVAILABLE,
                    LEDGER_UNAVAILABLE,
                    POISON,
                    LOST,
                    WEBHOOK_FAILED,
                    INTERNAL -> Breaker.Blame.NONE;
        };
    }

    /** Notes that the cause of the request's end is not the node. */
    void excused(Held held) {
        held.ended = true;
    }

    void free(Held held, long nowMillis) {
        inFlight--;
        calls -= held.isCall ? 1 : 0;
        if (!held.spoke) {
            rates.gone(held.tokens, nowMillis);
        }
    }

    /** Applies the replica's new share. Running requests continue, even above the new share. */
    void share(Replicas now, long nowMillis) {
        replicas = now;
        divide();
        window.limit(perMinute(), nowMillis);
    }

    private void divide() {
        limit = replicas.share(node, total);
        if (adaptive != null) {
            adaptive.range(replicas.share(node, limits.minInFlight()), limit);
        }
    }

    /**
     * Sets the limit for all replicas together.
     *
     * @return whether this replica's share has grown
     */
    boolean total(int ofAll) {
        int before = limit;
        total = ofAll;
        divide();
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
        return refusal == refusals ? throttle.changesInMillis(limit(), nowMillis) : -1;
    }

    /** Returns a warning if the replicas together may exceed a limit of the node; null if they do not. */
    @Nullable
    String exceeded() {
        if (!replicas.exceed(total)) {
            String requests = exceeded("requests-per-minute", limits.requestsPerMinute());
            return requests == null ? exceeded("tokens-per-minute", limits.tokensPerMinute()) : requests;
        }
        return "node '%s' takes %d at once, and there are %d replicas, each of which takes one at least: it may get %d at once. Run fewer replicas, or raise max-in-flight"
                .formatted(node, total, replicas.count(), replicas.count());
    }

    private @Nullable String exceeded(String key, OptionalInt value) {
        return value.isPresent() && replicas.exceed(value.getAsInt())
                ? "node '%s' has %s %d, and there are %d replicas, each of which takes one at least. Run fewer replicas, or raise %s"
                        .formatted(node, key, value.getAsInt(), replicas.count(), key)
                : null;
    }
}
