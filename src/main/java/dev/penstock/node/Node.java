package dev.penstock.node;

import dev.penstock.job.JobFailure;
import dev.penstock.job.PromptJob;
import dev.penstock.job.PublishedText;
import dev.penstock.job.Usage;
import dev.penstock.node.media.MediaFetcher;
import dev.penstock.node.media.Until;
import dev.penstock.node.models.Later;
import dev.penstock.node.models.NodeModels;
import dev.penstock.node.protocol.WireProtocol;
import dev.penstock.node.upstream.ProbeResult;
import dev.penstock.node.upstream.Upstream;
import dev.penstock.settings.NodeSettings;
import dev.penstock.settings.Settings;
import dev.penstock.wire.ModelName;
import dev.penstock.wire.record.Pauses;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;

/** One model server: its slots, its health and its models. Thread-safe. */
public final class Node {
    private final NodeSettings settings;
    private final Settings service;
    private final Upstream upstream;
    private final MediaFetcher media;
    private final Runnable onHealth;
    private final Clock clock;
    private final NodeModels models;
    private final NodeThroughput pace = new NodeThroughput();
    private final CountDownLatch probed = new CountDownLatch(1);
    /** The time of the server's last sign of life: a token, or an answer to a probe. */
    private volatile long heardMillis;

    private final Instant addedAt;

    /** The pause of this node or of its pool; null if there is none. */
    private volatile Pauses.@Nullable Pause pause;

    private final RequestsInFlight requests;
    /* Guarded by this. */
    private final HealthHistory history;

    /** Whether a node takes jobs. */
    public enum State {
        UP,
        LOADING,
        /** The node is being removed: its running requests end, and no new request begins. */
        DRAINING,
        DOWN
    }

    /**
     * What is known of a node.
     *
     * @param known whether the server has ever listed its models
     * @param lastError the reason why the node is not up; for a node that is up, a mistake in its settings, or null
     *     if there is none
     */
    public record Health(
            State state,
            boolean known,
            List<WireProtocol.Model> models,
            @Nullable String lastError,
            Instant since) {
        public Health {
            models = List.copyOf(models);
        }

        /** Returns the tokens of the longest prompt and answer together; null if the server does not report them. */
        public @Nullable Long context(String model) {
            for (WireProtocol.Model known : models) {
                if (known.id().equals(model) && known.context() != null) {
                    return known.context();
                }
            }
            return null;
        }
    }

    /**
     * The two listeners are called without any lock of the node.
     *
     * @param onSlotFreed runs when the node may take more requests, and when it has less work before it
     * @param onHealth runs after a change of the node's state or models, because jobs may now run at other nodes than
     *     before
     */
    Node(
            NodeSettings settings,
            Settings service,
            Upstream upstream,
            MediaFetcher media,
            Clock clock,
            Runnable onSlotFreed,
            Runnable onHealth,
            Later later) {
        this.settings = settings;
        this.service = service;
        this.upstream = upstream;
        this.media = media;
        this.clock = clock;
        this.onHealth = onHealth;
        models = new NodeModels(settings, upstream, clock, later, this::hasNow, onHealth);
        NodeSlots slots = new NodeSlots(
                settings.name(),
                settings.maxInFlight().orElse(settings.backend().defaultMaxInFlight()),
                settings.limits(),
                Breaker.Rules.of(service.breaker()));
        requests = new RequestsInFlight(settings, slots, pace, clock, later, onSlotFreed);
        upstream.onUsedUp(requests::usedUp);
        addedAt = clock.instant();
        history = new HealthHistory(addedAt);
    }

    public NodeSettings settings() {
        return settings;
    }

    Upstream upstream() {
        return upstream;
    }

    /** Returns the node's address. */
    public String address() {
        return upstream.address();
    }

    /** Returns the node's timeouts. */
    public Settings.Timeouts timeouts() {
        return settings.requests().timeouts().over(service.timeouts());
    }

    public String name() {
        return settings.name();
    }

    /** Returns the object that fetches, loads, unloads and deletes the node's models. */
    public NodeModels models() {
        return models;
    }

    public NodeThroughput pace() {
        return pace;
    }

    public synchronized Health health() {
        return history.latest();
    }

    /** Returns the time until which Penstock assumes that this node may have any model, if it was never reached. */
    public Instant unknownUntil() {
        return addedAt.plus(service.unknownFor());
    }

    /**
     * Returns whether the node counts as a node without models, because it was not reached before {@link
     * #unknownUntil}.
     */
    public boolean isUnknownForLong() {
        Health now = health();
        return !now.known() && now.state() == State.DOWN && !clock.instant().isBefore(unknownUntil());
    }

    public int inFlight() {
        return requests.count();
    }

    /** Returns this replica's share of the node's limit of requests. */
    public int limit() {
        return requests.limit();
    }

    /** Returns the limit now. It is lower after the node refused requests for load, and while its breaker is not closed. */
    public int limitNow() {
        return requests.limitNow();
    }

    /** Returns whether a request may begin here now. */
    public synchronized boolean hasRoom() {
        return takesJobs() && requests.mayGrow();
    }

    /** Returns whether the node is up and not paused. */
    public boolean takesJobs() {
        return pause == null && health().state() == State.UP;
    }

    /** Returns the pause of this node or of its pool; empty if there is none. */
    public Optional<Pauses.Pause> pause() {
        return Optional.ofNullable(pause);
    }

    /** Pauses or resumes the node: while it is paused, no new request begins, and its running requests continue. */
    void obey(Pauses pauses) {
        pause = pauses.ofNode(name(), settings.pool()).orElse(null);
    }

    /**
     * Applies the replica's new share. Running requests continue, even above the new share. A program that Penstock
     * starts serves only this replica, so this replica keeps the whole limit.
     */
    void share(Replicas now) {
        requests.share(settings.program() == null ? now : Replicas.ALONE);
    }

    /** Returns the node's requests from this replica. */
    public RequestsInFlight requests() {
        return requests;
    }

    /** Room for one request at this node, and what becomes of the request; closing it frees the room. */
    public final class Slot implements AutoCloseable {
        private final NodeSlots.Held request;
        private final AtomicBoolean held = new AtomicBoolean(true);

        private Slot(NodeSlots.Held request) {
            this.request = request;
        }

        public Node node() {
            return Node.this;
        }

        /** Notes that the request has only this part of the prompt, in characters. */
        public void shortened(long promptChars) {
            requests.shortened(request, promptChars);
        }

        /** Notes that the request is sent now. The minute in which it counts begins again. */
        public void sent() {
            requests.sent(request);
        }

        /** Notes that the request received a token. */
        public void heard() {
            long now = clock.millis();
            heardMillis = now;
            upstream.heard();
            requests.heard(request, now);
        }

        /**
         * Notes that the request received its whole answer.
         *
         * @param seconds the time from the first token to the last token
         */
        public void answered(Usage usage, double seconds) {
            requests.answered(request, usage, seconds);
        }

        /** Notes that the request failed. */
        public void failed(JobFailure failure) {
            requests.failed(request, failure);
            if (failure.code() == JobFailure.Code.NODE_UNREACHABLE) {
                refused(failure);
            } else if (failure.code() == JobFailure.Code.NODE_OVERLOADED
                    && failure.again().loading()) {
                become(State.LOADING, health().models(), failure.message());
            }
        }

        /** Notes that the node is not the cause if the request fails. */
        public void excused() {
            requests.excused(request);
        }

        /** Notes that another node, which was asked later, gave its first token sooner. */
        public void overtaken() {
            requests.overtaken(request);
        }

        @Override
        public void close() {
            if (held.getAndSet(false)) {
                requests.free(request);
            }
        }
    }

    /**
     * @param promptChars the characters of the request's prompt
     * @param isCall whether the request is for a direct call
     * @return null if the node is not up or has no free slot
     */
    public synchronized @Nullable Slot tryAcquire(long promptChars, boolean isCall) {
        return hasRoom() ? new Slot(requests.take(promptChars, isCall)) : null;
    }

    /**
     * Builds the request, and fetches the media that the job names by URL.
     *
     * @param parameters the values of the job's routing rule for fields that the job does not set
     * @param published the text that the answer continues; null if the answer starts over
     * @param until ends any wait for media
     */
    public NodeRequest request(
            PromptJob job, String model, Map<String, Object> parameters, @Nullable PublishedText published, Until until)
            throws WireProtocol.Unsupported, InterruptedException, Until.Over {
        return NodeRequest.of(upstream, service, job, model, parameters, media.inlined(job.body(), until), published);
    }

    /** Returns whether the node's backend can continue the published text of the job's answer. */
    public boolean canContinue(PromptJob job, String model, Map<String, Object> parameters, String text) {
        return NodeRequest.canContinue(upstream, service, job, model, parameters, text);
    }

    /** Marks the node as down. It takes no job until a probe succeeds. */
    public void refused(JobFailure failure) {
        become(State.DOWN, health().models(), failure.message());
    }

    /** Waits until the first probe has ended, or the time is up. */
    public void awaitProbed(Duration atMost) throws InterruptedException {
        var _ = probed.await(atMost.toMillis(), TimeUnit.MILLISECONDS);
    }

    /** Probes the server. */
    void probe() throws InterruptedException {
        ProbeResult result = upstream.probe();
        switch (result) {
            case ProbeResult.Up up -> {
                heardMillis = clock.millis();
                upstream.heard();
                requests.total(settings.maxInFlight()
                        .orElse(
                                up.totalSlots() > 0
                                        ? up.totalSlots()
                                        : settings.backend().defaultMaxInFlight()));
                become(State.UP, ServedModels.of(settings, up.models()), up.mismatch());
                history.warnOnce(up.mismatch());
            }
            case ProbeResult.Loading(String words) -> become(State.LOADING, health().models(), words);
            case ProbeResult.Away(String words, boolean timedOut, boolean _) -> {
                // a busy server may answer its probe late; it is alive while its tokens come
                if (!timedOut || inFlight() == 0 || !heardLately()) {
                    become(State.DOWN, health().models(), words);
                }
            }
        }
        probed.countDown();
    }

    /** Returns whether the server's last sign of life is younger than the timeout for a first token. */
    private boolean heardLately() {
        return clock.millis() - heardMillis < timeouts().firstToken().toMillis();
    }

    private boolean hasNow(String model) throws InterruptedException {
        probe();
        return health().models().stream().anyMatch(known -> ModelName.same(known.id(), model));
    }

    /** Applies what the server says of the models in its memory. */
    void loaded(Set<String> names) {
        Health now = health();
        if (now.state() == State.UP) {
            become(State.UP, ServedModels.loaded(now.models(), names), now.lastError());
        }
    }

    /** Drains the node: from now on, no new request begins at it. */
    void drain() {
        become(State.DRAINING, health().models(), null);
    }

    private void become(State state, List<WireProtocol.Model> models, @Nullable String error) {
        HealthHistory.Change change;
        synchronized (this) {
            change = history.become(state, models, error, clock.instant());
        }
        if (change.isNews()) {
            HealthHistory.log(settings, state, error);
        }
        if (change.movesJobs()) {
            onHealth.run();
        }
    }

    void close() {
        upstream.close();
    }

    /** Returns a future that is done when the node's processes have ended, after {@link #close}. */
    CompletableFuture<?> ended() {
        return upstream.ended();
    }
}
