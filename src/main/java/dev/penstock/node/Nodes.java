package dev.penstock.node;

import dev.penstock.job.JobFailure;
import dev.penstock.node.http.Discovery;
import dev.penstock.node.http.NodeClient;
import dev.penstock.node.http.Probe;
import dev.penstock.node.media.MediaFetcher;
import dev.penstock.node.models.Later;
import dev.penstock.node.upstream.ProbeResult;
import dev.penstock.node.upstream.Upstream;
import dev.penstock.settings.NodeSettings;
import dev.penstock.settings.Settings;
import dev.penstock.thread.SupervisedThread;
import dev.penstock.wire.Reason;
import dev.penstock.wire.record.Pauses;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.vertx.core.Vertx;
import jakarta.annotation.PreDestroy;
import jakarta.inject.Singleton;
import java.time.Clock;
import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.eclipse.microprofile.config.inject.ConfigProperty;
import org.jboss.logging.Logger;

/**
 * The nodes by name. A node is configured or added at run time. If there are no such nodes, Penstock looks for servers
 * on localhost. Each node has a thread that probes it.
 */
@Singleton
public class Nodes {
    private static final Logger LOG = Logger.getLogger(Nodes.class);
    private static final Duration SEARCH = Duration.ofSeconds(3);
    private static final Duration LAST_PROCESS = Duration.ofSeconds(5);
    private static final CompletableFuture<?> NOTHING = CompletableFuture.completedFuture(true);

    private final Settings settings;
    private final Vertx vertx;
    private final Clock clock;
    private final int ownPort;
    private final MediaFetcher media;
    private final Map<String, Node> nodes = new ConcurrentSkipListMap<>();
    /** Removed nodes with running requests. */
    private final List<Node> draining = new CopyOnWriteArrayList<>();

    private final List<Consumer<String>> listeners = new CopyOnWriteArrayList<>();
    private final AtomicLong version = new AtomicLong();
    private volatile boolean closed;

    /* Guarded by this. */
    private final Map<String, NodeSettings> found = new TreeMap<>();
    private final NodeGauges gauges;
    /** For each removed node whose server is a process of Penstock: a future that is done when its last process has ended. */
    private final Map<String, CompletableFuture<?>> ends = new TreeMap<>();

    /** What is paused. The nodes follow it; the schedule follows the paused topics. */
    private volatile Pauses pauses = Pauses.NONE;

    private Map<String, NodeSettings> added = Map.of();
    private Replicas replicas = Replicas.ALONE;

    public Nodes(
            Settings settings,
            Vertx vertx,
            Clock clock,
            MeterRegistry meters,
            @ConfigProperty(name = "quarkus.http.port") int ownPort) {
        this.settings = settings;
        this.vertx = vertx;
        this.clock = clock;
        gauges = new NodeGauges(meters);
        this.ownPort = ownPort;
        media = new MediaFetcher(vertx, settings.permissions().hosts(), settings.mediaBytes());
        Gauge.builder("penstock.media.bytes", media, MediaFetcher::bytes).register(meters);
    }

    /** Starts the configured nodes; looks on localhost if there are none. */
    public void start() {
        change();
        if (settings.nodes().isEmpty()) {
            LOG.info(
                    "no node is configured (penstock.nodes, VLLM_URL, OLLAMA_HOST, OPENAI_API_KEY and the like): looking on localhost");
            SupervisedThread.ofVirtual("penstock-discovery", this::search, () -> {})
                    .start();
        }
    }

    /** Returns all nodes, up or down, except for removed nodes. */
    public Collection<Node> all() {
        return nodes.values();
    }

    /** Returns the removed nodes that still have running requests. */
    public Collection<Node> draining() {
        return draining;
    }

    /** Returns whether any node takes jobs now. */
    public boolean anyTakesJobs() {
        return nodes.values().stream().anyMatch(Node::takesJobs);
    }

    /** Returns whether any node takes jobs now, and the topic is not paused. */
    public boolean takeJobsOf(String topic) {
        return anyTakesJobs() && pauses().find(Pauses.Kind.TOPIC, topic).isEmpty();
    }

    /** Returns what is paused: topics, pools and nodes. */
    public Pauses pauses() {
        return pauses;
    }

    /** Sets what is paused. A change changes the {@link #version}. */
    void pause(Pauses now) {
        synchronized (this) {
            if (now.equals(pauses)) {
                return;
            }
            LOG.infof("paused: %s", now.all().isEmpty() ? "nothing" : now);
            pauses = now;
            nodes.values().forEach(node -> node.obey(now));
            gauges.paused(now);
            version.incrementAndGet();
        }
        nodes.keySet().forEach(this::callListeners);
    }

    /** Returns how many requests the nodes that are up take from this replica at once. */
    public int capacity() {
        long capacity = 0;
        for (Node node : nodes.values()) {
            capacity += node.takesJobs() ? Math.max(1, node.requests().capacity()) : 0;
        }
        return (int) Math.min(Integer.MAX_VALUE, capacity);
    }

    public Optional<Node> find(String name) {
        return Optional.ofNullable(nodes.get(name));
    }

    public boolean isUp(String name) {
        return find(name).filter(node -> node.health().state() == Node.State.UP).isPresent();
    }

    /** Starts to fetch a model that jobs wait for; returns at once. */
    public void fetchMissing(String name, String model) {
        find(name).ifPresent(node -> node.models().fetchMissing(model));
    }

    /** Returns the removed node of this name, if it still has running requests. */
    public Optional<Node> findDraining(String name) {
        return draining.stream().filter(node -> node.name().equals(name)).findFirst();
    }

    /** Returns the failure for an unknown name; it lists the known names. */
    public JobFailure unknown(String name) {
        return JobFailure.of(
                JobFailure.Code.NOT_FOUND,
                "node '%s' not found. Available: %s"
                        .formatted(name, nodes.isEmpty() ? "none" : String.join(", ", nodes.keySet())));
    }

    /** Returns whether the node was added at run time. */
    synchronized boolean isAdded(String name) {
        return added.containsKey(name);
    }

    /**
     * Adds a listener. It is called with a node's name when the node may take another job, or when a change of the node
     * affects which jobs it may run.
     */
    public void onChange(Consumer<String> listener) {
        listeners.add(listener);
    }

    /**
     * Returns a number that grows when a node is added or removed, when a node's state or models change, or when
     * something is paused or resumed. Changes of slots, and probes that find no change, do not affect it.
     */
    public long version() {
        return version.get();
    }

    /** Probes a server that is not a node yet. */
    ProbeResult tryOut(NodeSettings candidate) throws InterruptedException {
        try (NodeClient client =
                new NodeClient(candidate, vertx, settings.timeouts().connect(), settings.answers())) {
            return Probe.of(client);
        }
    }

    /** Sets the nodes that were added at run time. They override configured nodes of the same name. */
    synchronized void added(Map<String, NodeSettings> now) {
        added = Map.copyOf(now);
        change();
    }

    /** Sets the replicas that share the nodes' limits. Until the first call, this is the only replica. */
    public void share(Replicas now) {
        synchronized (this) {
            if (now.equals(replicas)) {
                return;
            }
            if (now.count() != replicas.count()) {
                LOG.infof("replicas=%d share what each node takes at once", now.count());
            }
            replicas = now;
            nodes.values().forEach(node -> node.share(now));
        }
        nodes.keySet().forEach(this::callListeners);
    }

    /**
     * Returns, by name, a warning for each node whose limit is smaller than the number of replicas. Such a node gets
     * more requests at once than it takes.
     */
    public synchronized Map<String, String> exceeded() {
        Map<String, String> now = new TreeMap<>();
        for (Node node : nodes.values()) {
            String words = node.requests().exceeded();
            if (words != null) {
                now.put(node.name(), words);
            }
        }
        return now;
    }

    private void slotFreed(String name) {
        for (Node node : draining) {
            endIfIdle(node);
        }
        callListeners(name);
    }

    private void changed(String name) {
        version.incrementAndGet();
        callListeners(name);
    }

    private void callListeners(String name) {
        listeners.forEach(listener -> listener.accept(name));
    }

    /** Starts new nodes, drains removed and changed nodes, and keeps all other nodes. */
    private synchronized void change() {
        Map<String, NodeSettings> wanted = new TreeMap<>(found);
        settings.nodes().forEach(node -> wanted.put(node.name(), node));
        wanted.putAll(added);
        for (Node node : List.copyOf(nodes.values())) {
            if (!node.settings().equals(wanted.get(node.name()))) {
                remove(node);
            }
        }
        wanted.forEach((name, node) -> {
            if (!nodes.containsKey(name) && !closed) {
                add(node);
            }
        });
    }

    private void add(NodeSettings wanted) {
        Upstream upstream = upstream(wanted, ends.getOrDefault(wanted.name(), NOTHING));
        String name = wanted.name();
        Node node =
                new Node(wanted, settings, upstream, media, clock, () -> slotFreed(name), () -> changed(name), timer());
        node.share(replicas);
        node.obey(pauses);
        nodes.put(name, node);
        changed(name);
        gauges.add(node);
        // when this time has passed, an unknown model counts as missing
        timer().run(settings.unknownFor().plusMillis(10), () -> changed(name));
        begin(node);
    }

    /**
     * Creates the upstream of a node.
     *
     * @param afterwards a process starts only after this future is done, because an earlier process may still hold the
     *     memory
     */
    Upstream upstream(NodeSettings wanted, CompletableFuture<?> afterwards) {
        return new Upstreams(settings, vertx).of(wanted, afterwards);
    }

    /** Returns the timer of the nodes. */
    Later timer() {
        return Later.onTimer();
    }

    /** Starts to probe a node. */
    void begin(Node node) {
        new ProbeLoop(node, () -> closed).start();
    }

    private void remove(Node node) {
        LOG.infof("node=%s is removed; %d requests are still running there", node.settings(), node.inFlight());
        gauges.remove(node.name());
        draining.add(node);
        nodes.remove(node.name(), node);
        node.drain();
        if (!node.ended().isDone()) {
            ends.put(node.name(), node.ended());
        }
        endIfIdle(node);
    }

    /** Closes a draining node that is idle. It stays idle, because a draining node gets no new requests. */
    private void endIfIdle(Node node) {
        if (node.health().state() == Node.State.DRAINING && node.inFlight() == 0 && draining.remove(node)) {
            node.close();
        }
    }

    /** Returns the reason for each node that is down, by name. */
    public Map<String, String> down() {
        Map<String, String> down = new TreeMap<>();
        nodes.values().forEach(node -> {
            Node.Health now = node.health();
            if (now.state() == Node.State.DOWN) {
                down.put(
                        node.name(),
                        "down since %s: %s"
                                .formatted(now.since(), Objects.requireNonNullElse(now.lastError(), "not probed yet")));
            }
        });
        return down;
    }

    private void search() throws InterruptedException {
        Discovery discovery = new Discovery(vertx, ownPort);
        while (!closed) {
            if (nodes.isEmpty()) {
                discover(discovery);
            }
            LockSupport.parkNanos(SEARCH.toNanos());
        }
    }

    /**
     * Looks for servers once. If an answer breaks the search, a later search follows, because any program may listen on
     * a port.
     */
    private void discover(Discovery discovery) throws InterruptedException {
        try {
            for (NodeSettings one : discovery.look()) {
                LOG.infof("found %s", one);
                found(one);
            }
        } catch (RuntimeException | StackOverflowError e) {
            LOG.warnf("a search for model servers on this machine failed, trying again: %s", Reason.of(e));
        }
    }

    private synchronized void found(NodeSettings one) {
        found.put(one.name(), one);
        change();
    }

    @PreDestroy
    void close() {
        closed = true;
        nodes.values().forEach(Node::close);
        draining.forEach(Node::close);
        media.close();
        awaitProcesses();
    }

    /** Waits a limited time for the processes to end. Processes that need more time end by themselves later. */
    private void awaitProcesses() {
        CompletableFuture<?>[] all = Stream.concat(nodes.values().stream(), draining.stream())
                .map(Node::ended)
                .toArray(CompletableFuture<?>[]::new);
        try {
            var _ = CompletableFuture.allOf(all).get(LAST_PROCESS.toMillis(), TimeUnit.MILLISECONDS);
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
        } catch (ExecutionException | TimeoutException _) {
            LOG.warn("a model server that was started here has not ended yet");
        }
    }
}
