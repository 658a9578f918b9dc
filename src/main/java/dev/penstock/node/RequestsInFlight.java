package dev.penstock.node;

import dev.penstock.job.JobFailure;
import dev.penstock.job.Usage;
import dev.penstock.node.models.Later;
import dev.penstock.node.signals.OtherWork;
import dev.penstock.node.signals.Scrape;
import dev.penstock.node.signals.SeenSignals;
import dev.penstock.settings.NodeSettings;
import java.time.Clock;
import java.time.Duration;
import java.util.Optional;
import java.util.function.Supplier;
import org.jboss.logging.Logger;
import org.jspecify.annotations.Nullable;

/**
 * The requests of this replica at one node. It calls a listener when further requests may begin, or when the node has
 * less work before it. Thread-safe; the listener is called without its lock.
 */
public final class RequestsInFlight {
    private static final Logger LOG = Logger.getLogger(RequestsInFlight.class);

    private final NodeSettings settings;
    private final NodeThroughput pace;
    private final Clock clock;
    private final Later later;
    private final Runnable onChange;
    /** The time of the last token of any request. */
    private volatile long heardMillis = Long.MIN_VALUE;
    /* Guarded by this. */
    private final NodeSlots slots;
    /** The latest signals; null if there never were any. */
    private @Nullable SeenSignals signals;
    /** The work when the signals last changed. */
    private NodeLoad seenLoad = NodeLoad.UNKNOWN;
    /** Whether a timer waits for the end of a full minute. */
    private boolean awaitsMinute;

    RequestsInFlight(
            NodeSettings settings, NodeSlots slots, NodeThroughput pace, Clock clock, Later later, Runnable onChange) {
        this.settings = settings;
        this.slots = slots;
        this.pace = pace;
        this.clock = clock;
        this.later = later;
        this.onChange = onChange;
    }

    synchronized int count() {
        return slots.inFlight();
    }

    /** Returns how many of the requests in flight are direct calls. */
    public synchronized int calls() {
        return slots.calls();
    }

    /** Returns this replica's share of the node's limit of requests. */
    synchronized int limit() {
        return slots.limit();
    }

    /** Returns the number of requests that the node may have now. */
    synchronized int limitNow() {
        return slots.limitAt(clock.millis());
    }

    /** Returns the number of requests that the node may have soon; it is smaller while the last minute is nearly full. */
    synchronized int capacity() {
        return slots.capacityAt(clock.millis());
    }

    /** Returns whether the node takes no request now, even if another one ends: it rests, or its last minute is full. */
    public synchronized boolean rests() {
        return slots.rests(clock.millis());
    }

    synchronized boolean mayGrow() {
        return slots.areFree(clock.millis());
    }

    void share(Replicas now) {
        synchronized (this) {
            slots.share(now, clock.millis());
        }
        awaitMinute();
    }

    /** Returns which limit of a minute is used up; empty if none is. */
    public synchronized Optional<String> fullMinute() {
        return Optional.ofNullable(slots.fullMinute(clock.millis()));
    }

    synchronized @Nullable String exceeded() {
        return slots.exceeded();
    }

    /** Sets the limit for all replicas together. */
    void total(int ofAll) {
        boolean more;
        synchronized (this) {
            more = slots.total(ofAll);
        }
        if (more) {
            onChange.run();
        }
    }

    /** Returns the state of the breaker: {@code closed}, {@code open} or {@code half_open}. */
    public String breaker() {
        return state().wireName();
    }

    /** Returns the state of the breaker as a number: 0 closed, 1 half open, 2 open. */
    int breakerLevel() {
        return state().level();
    }

    /** Returns whether only single jobs try the node, because its breaker is not closed. */
    public boolean areTrials() {
        return !(state() instanceof Breaker.Closed);
    }

    private synchronized Breaker state() {
        return slots.breaker();
    }

    /** Returns the node's present work: that of this replica, and what fresh signals report of other clients. */
    public synchronized NodeLoad load() {
        return slots.rates().load(signals == null ? OtherWork.NONE : signals.now(clock.millis()));
    }

    /** Returns the latest signals of the server; empty if there never were any. */
    public synchronized Optional<SeenSignals> signals() {
        return Optional.ofNullable(signals);
    }

    /**
     * Notes what the server says of its load.
     *
     * @param ownBefore the requests that this replica had here when it asked
     */
    void seen(Scrape.Seen seen, int ownBefore) {
        boolean changed;
        synchronized (this) {
            NodeLoad before = seenLoad;
            OtherWork others = OtherWork.of(seen.signals(), Math.max(ownBefore, slots.inFlight()));
            signals = new SeenSignals(seen.source(), others, clock.millis());
            changed = notesChange(before);
        }
        // placement must forget the figures as soon as they are too old, even if the server answers no more
        later.run(OtherWork.FRESH_FOR.plusMillis(1), this::notSeen);
        if (changed) {
            onChange.run();
        }
    }

    /** Notes that the server did not answer, or that time has passed. When the latest signals become too old, they are ignored. */
    void notSeen() {
        boolean changed;
        synchronized (this) {
            changed = notesChange(seenLoad);
        }
        if (changed) {
            onChange.run();
        }
    }

    /** Returns whether the work of other clients is not the same as at the last call. */
    private boolean notesChange(NodeLoad before) {
        NodeLoad now = load();
        seenLoad = now;
        return now.othersTokens() != before.othersTokens() || now.isNearlyFull() != before.isNearlyFull();
    }

    /** Returns what this replica has learnt of the node's speed. */
    public synchronized Speed speed() {
        LearntRates rates = slots.rates();
        return new Speed(
                rates.prefillTokensPerSecond(),
                rates.charsPerToken(),
                rates.decodeTokensPerSecond(),
                rates.meanAnswerTokens());
    }

    /**
     * The speed of a node. A figure is NaN if it is not known yet.
     *
     * @param prefill the prompt tokens that the node reads in a second
     * @param decode the tokens of one answer in a second
     * @param meanAnswerTokens the mean tokens of an answer
     */
    public record Speed(double prefill, double charsPerToken, double decode, double meanAnswerTokens) {
        public boolean isMeasured() {
            return prefill > 0 && decode > 0;
        }
    }

    /** Returns the tokens of one answer in a second; NaN before the first answer. */
    public synchronized double decodeTokensPerSecond() {
        return slots.rates().decodeTokensPerSecond();
    }

    NodeSlots.Held take(long promptChars, boolean isCall) {
        NodeSlots.Held held = change(() -> slots.take(promptChars, isCall, clock.millis()));
        awaitMinute();
        return held;
    }

    synchronized void sent(NodeSlots.Held request) {
        slots.sent(request, clock.millis());
    }

    synchronized void shortened(NodeSlots.Held request, long promptChars) {
        slots.shortened(request, promptChars);
    }

    /** Notes a token of a request's answer. */
    void heard(NodeSlots.Held request, long nowMillis) {
        heardMillis = nowMillis;
        if (!request.heard(nowMillis)) {
            return;
        }
        synchronized (this) {
            slots.spoke(request, nowMillis);
        }
        pace.firstToken(request.lasts(nowMillis));
        onChange.run();
    }

    void answered(NodeSlots.Held request, Usage usage, double seconds) {
        pace.answer(usage.completionTokens(), seconds);
        change(() -> {
            slots.answered(request, usage, seconds, clock.millis());
            return true;
        });
        // the answer may have more tokens than its estimate
        awaitMinute();
    }

    void failed(NodeSlots.Held request, JobFailure failure) {
        change(() -> {
            slots.failed(request, failure.code(), heardMillis, clock.millis());
            return true;
        });
        if (failure.code() == JobFailure.Code.NODE_OVERLOADED) {
            long refusal;
            synchronized (this) {
                refusal = slots.refused(failure.again().after(), clock.millis());
            }
            relent(refusal);
        }
    }

    /** Notes that the server's own limit is used up. No request begins until it is reset. */
    void usedUp(Duration untilReset) {
        long refusal;
        synchronized (this) {
            refusal = slots.usedUp(untilReset, clock.millis());
        }
        relent(refusal);
    }

    /**
     * Notes that another node gave its first token sooner. The time so far counts as a time to the first token. Otherwise
     * the slow answers would be missing, and the quantiles would become ever smaller.
     */
    void overtaken(NodeSlots.Held request) {
        pace.firstToken(request.lasts(clock.millis()));
        excused(request);
    }

    synchronized void excused(NodeSlots.Held request) {
        slots.excused(request);
    }

    void free(NodeSlots.Held request) {
        synchronized (this) {
            slots.free(request, clock.millis());
        }
        onChange.run();
    }

    /** Logs a change of the breaker, and sets the timer for the next job that may try the node. */
    private <T> T change(Supplier<T> event) {
        Breaker before;
        Breaker now;
        T result;
        synchronized (this) {
            before = slots.breaker();
            result = event.get();
            now = slots.breaker();
        }
        if (now.level() != before.level()) {
            LOG.logf(
                    now instanceof Breaker.Open ? Logger.Level.WARN : Logger.Level.INFO,
                    "node=%s breaker=%s",
                    settings,
                    now.wireName());
        }
        if (!now.equals(before)) {
            awaitTry(now);
        }
        return result;
    }

    private void awaitTry(Breaker since) {
        long next = state().equals(since) ? since.triesInMillis(clock.millis()) : -1;
        if (next > 0) {
            later.run(Duration.ofMillis(next), () -> {
                // set the next timer first, so that a failure of this call does not prevent the later calls
                awaitTry(since);
                onChange.run();
            });
        }
    }

    /** If the last minute is full, calls the listener when it has room. */
    private void awaitMinute() {
        long opens;
        synchronized (this) {
            opens = awaitsMinute ? 0 : slots.windowOpensInMillis(clock.millis());
            awaitsMinute |= opens > 0;
        }
        if (opens > 0) {
            later.run(Duration.ofMillis(opens), () -> {
                synchronized (this) {
                    awaitsMinute = false;
                }
                awaitMinute();
                onChange.run();
            });
        }
    }

    /**
     * Calls the listener each time that the node may take more requests, until the node has its full limit again. After
     * a further refusal, the calls for that refusal replace these calls.
     */
    private void relent(long refusal) {
        long next;
        synchronized (this) {
            next = slots.changeInMillis(refusal, clock.millis());
        }
        if (next >= 0) {
            later.run(Duration.ofMillis(next), () -> {
                relent(refusal);
                onChange.run();
            });
        }
    }
}
