package dev.penstock.node;

import dev.penstock.settings.NodeSettings;
import dev.penstock.settings.Settings;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.quarkus.runtime.StartupEvent;
import io.vertx.core.Vertx;
import jakarta.annotation.PreDestroy;
import jakarta.enterprise.event.Observes;
import jakarta.inject.Singleton;
import java.time.Clock;
import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import org.eclipse.microprofile.config.inject.ConfigProperty;
import org.jboss.logging.Logger;

/** The model servers by name: configured, or found on localhost while none is. Probes each on a thread of its own. */
@Singleton
public class Nodes {
    private static final Logger LOG = Logger.getLogger(Nodes.class);
    private static final Duration PROBE_WHEN_UP = Duration.ofSeconds(10);
    private static final Duration PROBE_WHEN_DOWN = Duration.ofSeconds(1);
    private static final Duration SEARCH = Duration.ofSeconds(3);

    private final Settings settings;
    private final Vertx vertx;
    private final Clock clock;
    private final MeterRegistry meters;
    private final int ownPort;
    private final MediaFetcher media;
    private final Map<String, Node> nodes = new ConcurrentSkipListMap<>();
    private final List<Runnable> listeners = new CopyOnWriteArrayList<>();
    private final AtomicLong version = new AtomicLong();
    private volatile boolean closed;

    public Nodes(
            Settings settings,
            Vertx vertx,
            Clock clock,
            MeterRegistry meters,
            @ConfigProperty(name = "quarkus.http.port") int ownPort) {
        this.settings = settings;
        this.vertx = vertx;
        this.clock = clock;
        this.meters = meters;
        this.ownPort = ownPort;
        media = new MediaFetcher(vertx, settings.permissions().hosts());
    }

    void start(@Observes StartupEvent event) {
        settings.nodes().forEach(this::add);
        if (settings.nodes().isEmpty()) {
            LOG.info(
                    "no node is configured (penstock.nodes, VLLM_URL, OLLAMA_HOST, OPENAI_API_KEY and the like): looking on localhost");
            Thread.ofVirtual().name("penstock-discovery").start(this::search);
        }
    }

    public Collection<Node> all() {
        return nodes.values();
    }

    /** Whether any node takes jobs now. */
    public boolean anyUp() {
        return nodes.values().stream().anyMatch(node -> node.health().state() == Node.State.UP);
    }

    public Optional<Node> find(String name) {
        return Optional.ofNullable(nodes.get(name));
    }

    /** The listener is called when a slot becomes free, or a node goes up or down. */
    public void onChange(Runnable listener) {
        listeners.add(listener);
    }

    /** Counts up whenever a node appears or what is known of one changes; a slot changes nothing. */
    public long version() {
        return version.get();
    }

    private void slotFreed() {
        listeners.forEach(Runnable::run);
    }

    private void changed() {
        version.incrementAndGet();
        listeners.forEach(Runnable::run);
    }

    private void add(NodeSettings found) {
        Settings.Timeouts timeouts = found.requests().timeouts().over(settings.timeouts());
        NodeClient client = new NodeClient(found, vertx, timeouts.connect());
        Node node = new Node(found, settings, client, media, clock, this::slotFreed, this::changed);
        nodes.put(found.name(), node);
        changed();
        Gauge.builder("penstock.jobs.in.flight", node, Node::inFlight)
                .tag("node", node.name())
                .register(meters);
        Gauge.builder("penstock.node.slots", node, Node::limit)
                .tag("node", node.name())
                .register(meters);
        Gauge.builder("penstock.node.up", node, up -> up.health().state() == Node.State.UP ? 1 : 0)
                .tag("node", node.name())
                .register(meters);
        Thread.ofVirtual().name("penstock-probe-" + node.name()).start(() -> watch(node));
    }

    private void watch(Node node) {
        try {
            while (!closed) {
                Node.State before = node.health().state();
                node.probe();
                Node.Health now = node.health();
                if (now.state() != before) {
                    LOG.infof(
                            "node=%s state=%s %s",
                            node.settings(), now.state(), now.lastError() == null ? "" : now.lastError());
                }
                pause(now.state() == Node.State.UP ? PROBE_WHEN_UP : PROBE_WHEN_DOWN, node);
            }
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
        }
    }

    /** Waits in steps, so that a node that was just found down is probed soon. */
    private void pause(Duration wait, Node node) {
        long until = System.nanoTime() + wait.toNanos();
        Node.State state = node.health().state();
        while (!closed && System.nanoTime() < until && node.health().state() == state) {
            LockSupport.parkNanos(PROBE_WHEN_DOWN.toNanos());
        }
    }

    private void search() {
        Discovery discovery = new Discovery(vertx, ownPort);
        try {
            while (!closed && nodes.isEmpty()) {
                for (NodeSettings found : discovery.look()) {
                    LOG.infof("found %s", found);
                    add(found);
                }
                LockSupport.parkNanos(SEARCH.toNanos());
            }
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
        }
    }

    @PreDestroy
    void close() {
        closed = true;
        nodes.values().forEach(Node::close);
        media.close();
    }
}
