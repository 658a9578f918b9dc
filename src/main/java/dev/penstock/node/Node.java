package dev.penstock.node;

import dev.penstock.job.JobFailure;
import dev.penstock.job.PromptJob;
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

/** One model server: its slots, its health and what it serves. Thread-safe. */
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
    private final Pace pace = new Pace();
    /* Guarded by this. */
    private final Throttle throttle = new Throttle();
    private final CountDownLatch probed = new CountDownLatch(1);
    /** When it last said anything: a token, or what a probe asks for. */
    private volatile long heardMillis;

    private final Instant addedAt;

    /** The last mismatch that was logged. */
    private volatile @Nullable String warned;

    /* Guarded by this. */
    private Health health;
    private int inFlight;
    /** What all replicas together may have here. */
    private int total;

    private Replicas replicas = Replicas.ALONE;
    /** This replica's share of it. */
    private int limit;

    private boolean draining;
    /** The last state that was logged; null: none was. */
    private @Nullable State told;
    /** How many it refused for load. */
    private long refusals;

    /** Whether a node takes jobs. */
    public enum State {
        UP,
        LOADING,
        /** It is removed: what runs there ends, and nothing else begins. */
        DRAINING,
        DOWN
    }

    /**
     * What is known of a node.
     *
     * @param known whether the server has ever said what it serves
     * @param lastError null where all is well; of a node that is up, what is wrong with its settings
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

    /** Runs a task after a while. */
    interface Later {
        void run(Duration delay, Runnable task);

        static Later onTimer() {
            return (delay, task) -> CompletableFuture.delayedExecutor(delay.toMillis(), TimeUnit.MILLISECONDS)
                    .execute(task);
        }
    }

    /**
     * The two listeners are called without any lock of the node.
     *
     * @param onSlotFreed it may take more now
     * @param onHealth what decides where jobs may go has changed
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

    /** Where it is. */
    public String address() {
        return upstream.address();
    }

    /** How long it may take. */
    public Settings.Timeouts timeouts() {
        return settings.requests().timeouts().over(service.timeouts());
    }

    public String name() {
        return settings.name();
    }

    /** Its models, to be changed. */
    public NodeModels models() {
        return models;
    }

    public Pace pace() {
        return pace;
    }

    /** An attempt here got a token. */
    public void heard() {
        heardMillis = clock.millis();
        upstream.heard();
    }

    /** An attempt here got its first token. */
    public void firstToken(long millis) {
        pace.firstToken(millis);
    }

    /**
     * An attempt here got its whole answer.
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

    /** Until when it may turn out to have any model, where nobody reaches it. */
    public Instant unknownUntil() {
        return addedAt.plus(service.unknownFor());
    }

    /** Whether it has never been reached, for so long that it counts as a node without models. */
    public boolean isUnknownForLong() {
        Health now = health();
        return !now.known() && now.state() == State.DOWN && !clock.instant().isBefore(unknownUntil());
    }

    public synchronized int inFlight() {
        return inFlight;
    }

    /** How many requests this replica may have here: its share of what the node takes at once. */
    public synchronized int limit() {
        return limit;
    }

    /** How many it may have here now: fewer than its limit for a while, where it refused some for load. */
    public synchronized int limitNow() {
        return throttle.limit(limit, clock.millis());
    }

    /** Whether a request may begin here now. */
    public synchronized boolean hasRoom() {
        long now = clock.millis();
        return health.state() == State.UP && !throttle.rests(now) && inFlight < throttle.limit(limit, now);
    }

    /** What runs already goes on, also where it is more than the new share. A program of ours is this replica's alone. */
    synchronized void share(Replicas now) {
        replicas = settings.program() == null ? now : Replicas.ALONE;
        limit = replicas.share(name(), total);
    }

    private synchronized void limit(int ofAll) {
        total = ofAll;
        limit = replicas.share(name(), ofAll);
    }

    /** That the replicas together may exceed what the node takes at once; null: they do not. */
    synchronized @Nullable String exceeded() {
        return replicas.exceed(total)
                ? "node '%s' takes %d at once, and there are %d replicas, each of which takes one at least: it may get %d at once. Run fewer replicas, or raise max-in-flight"
                        .formatted(name(), total, replicas.count(), replicas.count())
                : null;
    }

    /** A place for one request at this node; closing it gives it back. */
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

    /** @return null when the node is not up or has no free slot */
    public synchronized @Nullable Slot tryAcquire() {
        if (!hasRoom()) {
            return null;
        }
        inFlight++;
        return new Slot();
    }

    /** A job as this node is asked for it. Closing it gives back the memory of what was fetched for it. */
    public final class Request implements AutoCloseable {
        private final Prompt prompt;
        private final MediaFetcher.Inlined inlined;

        private Request(Prompt prompt, MediaFetcher.Inlined inlined) {
            this.prompt = prompt;
            this.inlined = inlined;
        }

        /** Sends it; the caller holds a slot. */
        public TokenStream stream() throws WireProtocol.Unsupported {
            try {
                return upstream.stream(prompt);
            } catch (RuntimeException | StackOverflowError e) {
                // of this job: any other would go there
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
     * Fetches what a job names by URL.
     *
     * @param until ends any wait for it
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

    /** What an attempt here failed with, told before its slot is given back. */
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

    /** Tells whenever it may take more, until it may have its limit again; after a further refusal that one sees to it. */
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

    /** The node refused a connection: it takes no job until a probe succeeds. */
    public void refused(JobFailure failure) {
        become(State.DOWN, health().models(), failure.message());
    }

    /** Until the server has been asked once how it is, or the time is up. */
    public void awaitProbed(Duration atMost) throws InterruptedException {
        var _ = probed.await(atMost.toMillis(), TimeUnit.MILLISECONDS);
    }

    /** Asks the server how it is. */
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
                // a busy server may answer its probe late; so long as its tokens come it lives
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

    /** Whether it has been silent for no longer than a job may have to wait for its first token. */
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
        // a server that says what it has, and has not this one, would run another under its name
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

    /** Nothing begins here any more. */
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
            news = state != told && state != State.DRAINING;
            told = state;
        }
        if (news) {
            tell(state, error);
        }
        if (!same) {
            onHealth.run();
        }
    }

    private void tell(State state, @Nullable String error) {
        if (state == State.DOWN) {
            LOG.warnf("node=%s is down: %s", settings, Objects.requireNonNullElse(error, "no reason"));
        } else {
            LOG.infof("node=%s is %s", settings, state.name().toLowerCase(Locale.ROOT));
        }
    }

    void close() {
        upstream.close();
    }

    /** When nothing of it is left, after {@link #close}. */
    CompletableFuture<?> ended() {
        return upstream.ended();
    }

    /** What a probe found. */
    sealed interface ProbeResult {
        /**
         * @param totalSlots a llama-server's own number of slots; 0 where the server does not say
         * @param mismatch that the server is of another kind than the node's backend; null: no sign of it
         */
        record Up(
                List<WireProtocol.Model> models,
                int totalSlots,
                @Nullable String mismatch) implements ProbeResult {
            Up(List<WireProtocol.Model> models, int totalSlots) {
                this(models, totalSlots, null);
            }
        }

        record Loading(String words) implements ProbeResult {}

        /**
         * @param silent nobody refused: there just was no answer in time
         * @param unauthorized it is there, and wants another key
         */
        record Away(String words, boolean silent, boolean unauthorized) implements ProbeResult {
            static Away of(String words) {
                return new Away(words, false, false);
            }
        }
    }
}
