package dev.penstock.node;

import dev.penstock.job.JobFailure;
import dev.penstock.job.PromptJob;
import dev.penstock.node.media.MediaFetcher;
import dev.penstock.node.media.Until;
import dev.penstock.node.models.Later;
import dev.penstock.node.models.NodeModels;
import dev.penstock.node.protocol.Prompt;
import dev.penstock.node.protocol.WireProtocol;
import dev.penstock.node.upstream.ProbeResult;
import dev.penstock.node.upstream.TokenStream;
import dev.penstock.node.upstream.Upstream;
import dev.penstock.settings.NodeSettings;
import dev.penstock.settings.Settings;
import dev.penstock.wire.ModelName;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.jboss.logging.Logger;
import org.jspecify.annotations.Nullable;

/** One model server: its slots, its health and its models. Thread-safe. */
public final class Node {
    private static final Logger LOG = Logger.getLogger(Node.class);

    private final NodeSettings settings;
    private final Settings service;
    private final Upstream upstream;
    private final MediaFetcher media;
    private final Runnable onSlotFreed;
    private final Runnable onHealth;
    private final Later later;
    private final Clock clock;
    private final NodeModels models;
    private final NodeThroughput pace = new NodeThroughput();
    /* Guarded by this. */
    private final Throttle throttle = new Throttle();
    private final CountDownLatch probed = new CountDownLatch(1);
    /** The time of the server's last sign of life: a token, or an answer to a probe. */
    private volatile long heardMillis;

    private final Instant addedAt;

    /** The last mismatch that was logged. */
    private volatile @Nullable String warned;

    /* Guarded by this. */
    private Health health;
    private int inFlight;
    /** The limit of requests for all replicas together. */
    private int total;

    private Replicas replicas = Replicas.ALONE;
    /** This replica's share of it. */
    private int limit;

    private boolean draining;
    /** The last state that was logged; null if there is none. */
    private @Nullable State logged;
    /** The number of requests that the node refused for load. */
    private long refusals;

    /** Whether a node takes jobs. */
    public enum State {
        UP,
        LOADING,
        /** It is removed: its running requests end, and no new one begins. */
        DRAINING,
        DOWN
    }

    /**
     * What is known of a node.
     *
     * @param known whether the server has ever listed its models
     * @param lastError null if all is well; for a node that is up, a mistake in its settings
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
    }

    /**
     * The two listeners are called without any lock of the node.
     *
     * @param onSlotFreed the node may take more requests now
     * @param onHealth something changed that decides where jobs may run
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
        this.onSlotFreed = onSlotFreed;
        this.onHealth = onHealth;
        this.later = later;
        models = new NodeModels(settings, upstream, clock, later, this::hasNow, onHealth);
        total = settings.maxInFlight().orElse(settings.backend().defaultMaxInFlight());
        limit = replicas.share(settings.name(), total);
        addedAt = clock.instant();
        health = new Health(State.DOWN, false, List.of(), "not probed yet", addedAt);
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

    /** Returns the node's models, for changes. */
    public NodeModels models() {
        return models;
    }

    public NodeThroughput pace() {
        return pace;
    }

    /** An attempt here received a token. */
    public void heard() {
        heardMillis = clock.millis();
        upstream.heard();
    }

    /** An attempt here received its first token. */
    public void firstToken(long millis) {
        pace.firstToken(millis);
    }

    /**
     * An attempt here received its whole answer.
     *
     * @param seconds from the first token to the last
     */
    public void answered(long tokens, double seconds) {
        pace.answer(tokens, seconds);
        synchronized (this) {
            throttle.answered();
        }
    }

    public synchronized Health health() {
        return health;
    }

    /** Returns the time until which a node that was never reached may turn out to have any model. */
    public Instant unknownUntil() {
        return addedAt.plus(service.unknownFor());
    }

    /** Returns whether the node was never reached, for so long that it counts as a node without models. */
    public boolean isUnknownForLong() {
        Health now = health();
        return !now.known() && now.state() == State.DOWN && !clock.instant().isBefore(unknownUntil());
    }

    public synchronized int inFlight() {
        return inFlight;
    }

    /** Returns this replica's share of the node's limit of requests. */
    public synchronized int limit() {
        return limit;
    }

    /**
     * Returns the number of requests that the node may have now. It is below the limit for a while after the node
     * refused requests for load.
     */
    public synchronized int limitNow() {
        return throttle.limit(limit, clock.millis());
    }

    /** Returns whether a request may begin here now. */
    public synchronized boolean hasRoom() {
        long now = clock.millis();
        return health.state() == State.UP && !throttle.rests(now) && inFlight < throttle.limit(limit, now);
    }

    /**
     * Applies the replica's new share. Running requests continue, even above the new share. A program that Penstock
     * starts belongs to this replica alone.
     */
    synchronized void share(Replicas now) {
        replicas = settings.program() == null ? now : Replicas.ALONE;
        limit = replicas.share(name(), total);
    }

    private synchronized void limit(int ofAll) {
        total = ofAll;
        limit = replicas.share(name(), ofAll);
    }

    /** Returns a warning if the replicas together may exceed the node's limit; null if they do not. */
    synchronized @Nullable String exceeded() {
        return replicas.exceed(total)
                ? "node '%s' takes %d at once, and there are %d replicas, each of which takes one at least: it may get %d at once. Run fewer replicas, or raise max-in-flight"
                        .formatted(name(), total, replicas.count(), replicas.count())
                : null;
    }

    /** Room for one request at this node; closing it frees the room. */
    public final class Slot implements AutoCloseable {
        private boolean held = true;

        public Node node() {
            return Node.this;
        }

        @Override
        public void close() {
            synchronized (Node.this) {
                if (!held) {
                    return;
                }
                held = false;
                inFlight--;
            }
            onSlotFreed.run();
        }
    }

    /** @return null if the node is not up or has no free slot */
    public synchronized @Nullable Slot tryAcquire() {
        if (!hasRoom()) {
            return null;
        }
        inFlight++;
        return new Slot();
    }

    /** A job's request in the form for this node. Closing it frees the memory of its media. */
    public final class Request implements AutoCloseable {
        private final Prompt prompt;
        private final MediaFetcher.Inlined inlined;

        private Request(Prompt prompt, MediaFetcher.Inlined inlined) {
            this.prompt = prompt;
            this.inlined = inlined;
        }

        /** Sends the request; the caller holds a slot. */
        public TokenStream stream() throws WireProtocol.Unsupported {
            try {
                return upstream.stream(prompt);
            } catch (RuntimeException | StackOverflowError e) {
                // the job is the cause: its request would fail at any node
                LOG.errorf(e, "node=%s the request of a job could not be built", name());
                throw new WireProtocol.Unsupported(JobFailure.of(
                        JobFailure.Code.NODE_ERROR,
                        "%s: the request for it could not be built".formatted(upstream.title())));
            }
        }

        @Override
        public void close() {
            inlined.close();
        }
    }

    /**
     * Builds the request, and fetches the media that the job names by URL.
     *
     * @param until ends any wait for media
     */
    public Request request(PromptJob job, String model, Until until)
            throws WireProtocol.Unsupported, InterruptedException, Until.Over {
        NodeSettings.Requests requests = settings.requests();
        Map<String, Object> defaults = Prompt.defaults(service.parameters(), requests.parameters());
        MediaFetcher.Inlined inlined = media.inlined(job.body(), until);
        return new Request(
                Prompt.of(
                        job.task(),
                        model,
                        inlined.body(),
                        defaults,
                        requests.extraBody(),
                        requests.embeddingBatch().orElse(0)),
                inlined);
    }

    /** An attempt here failed. It is called before the attempt's slot is freed. */
    public void failed(JobFailure failure) {
        if (failure.code() == JobFailure.Code.NODE_UNREACHABLE) {
            refused(failure);
        } else if (failure.code() == JobFailure.Code.NODE_OVERLOADED) {
            long refusal;
            synchronized (this) {
                throttle.refused(inFlight - 1, failure.again().after(), clock.millis());
                refusal = ++refusals;
            }
            relent(refusal);
            if (failure.again().loading()) {
                become(State.LOADING, health().models(), failure.message());
            }
        }
    }

    /**
     * Signals each time that the node may take more requests, until it has its full limit again. A further refusal
     * starts its own signals in place of these.
     */
    private void relent(long refusal) {
        long next;
        synchronized (this) {
            next = refusal == refusals ? throttle.changesInMillis(limit, clock.millis()) : -1;
        }
        if (next >= 0) {
            later.run(Duration.ofMillis(next + 1), () -> {
                onSlotFreed.run();
                relent(refusal);
            });
        }
    }

    /** The node refused a connection. It takes no job until a probe succeeds. */
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
                heard();
                int before = limit();
                limit(settings.maxInFlight()
                        .orElse(
                                up.totalSlots() > 0
                                        ? up.totalSlots()
                                        : settings.backend().defaultMaxInFlight()));
                become(State.UP, served(up.models()), up.mismatch());
                warnOnce(up.mismatch());
                if (limit() > before) {
                    onSlotFreed.run();
                }
            }
            case ProbeResult.Loading(String words) -> become(State.LOADING, health().models(), words);
            case ProbeResult.Away(String words, boolean silent, boolean _) -> {
                // a busy server may answer its probe late; it is alive while its tokens come
                if (!silent || inFlight() == 0 || !heardLately()) {
                    become(State.DOWN, health().models(), words);
                }
            }
        }
        probed.countDown();
    }

    private void warnOnce(@Nullable String mismatch) {
        if (mismatch != null && !mismatch.equals(warned)) {
            LOG.warn(mismatch);
        }
        warned = mismatch;
    }

    /** Returns whether the server's silence is no longer than a job's wait for its first token may be. */
    private boolean heardLately() {
        return clock.millis() - heardMillis < timeouts().firstToken().toMillis();
    }

    private boolean hasNow(String model) throws InterruptedException {
        probe();
        return health().models().stream().anyMatch(known -> ModelName.same(known.id(), model));
    }

    private List<WireProtocol.Model> served(List<WireProtocol.Model> listed) {
        String only = settings.model();
        if (only == null) {
            return listed;
        }
        // a server that lists its models without this one would run another under its name
        if (!settings.fetchesMissing()
                && (listed.isEmpty() || !settings.backend().listsModels())) {
            return List.of(new WireProtocol.Model(only, false, null));
        }
        return listed.stream()
                .filter(model -> model.id().equals(only))
                .findFirst()
                .or(() -> listed.stream()
                        .filter(model -> ModelName.same(model.id(), only))
                        .findFirst())
                .map(List::of)
                .orElse(List.of());
    }

    /** No new request begins here from now on. */
    void drain() {
        become(State.DRAINING, health().models(), null);
    }

    private void become(State state, List<WireProtocol.Model> models, @Nullable String error) {
        boolean same;
        boolean news;
        synchronized (this) {
            if (draining) {
                return;
            }
            draining = state == State.DRAINING;
            boolean sameState = state == health.state();
            boolean known = health.known() || state == State.UP;
            same = sameState && known == health.known() && models.equals(health.models());
            health = new Health(state, known, models, error, sameState ? health.since() : clock.instant());
            news = state != logged && state != State.DRAINING;
            logged = state;
        }
        if (news) {
            log(state, error);
        }
        if (!same) {
            onHealth.run();
        }
    }

    private void log(State state, @Nullable String error) {
        if (state == State.DOWN) {
            LOG.warnf("node=%s is down: %s", settings, Objects.requireNonNullElse(error, "no reason"));
        } else {
            LOG.infof("node=%s is %s", settings, state.name().toLowerCase(Locale.ROOT));
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
