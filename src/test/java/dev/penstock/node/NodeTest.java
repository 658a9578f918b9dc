package dev.penstock.node;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.JobFailure;
import dev.penstock.job.Task;
import dev.penstock.node.http.NodeClient;
import dev.penstock.node.http.NodeErrors;
import dev.penstock.node.http.Probe;
import dev.penstock.node.media.MediaFetcher;
import dev.penstock.node.protocol.Prompt;
import dev.penstock.node.protocol.WireProtocol;
import dev.penstock.node.upstream.ProbeResult;
import dev.penstock.node.upstream.TokenStream;
import dev.penstock.node.upstream.Upstream;
import dev.penstock.settings.Backend;
import dev.penstock.settings.NodeSettings;
import dev.penstock.settings.Settings;
import dev.penstock.settings.read.TestSettings;
import dev.penstock.testkit.LogLines;
import dev.penstock.testkit.PlayedClock;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.FakeUpstream;
import dev.penstock.testkit.upstream.Flavour;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.vertx.core.Vertx;
import java.net.URI;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Tests a node's states, and the shares of its slots among several replicas. */
class NodeTest {
    private static Vertx vertx;

    private FakeUpstream fake;
    private Node node;
    private final AtomicBoolean silent = new AtomicBoolean();
    private final AtomicInteger changes = new AtomicInteger();
    private final AtomicReference<Instant> now = new AtomicReference<>(Instant.EPOCH);
    private final Clock clock = PlayedClock.of(() -> now.get());

    /** Waits a moment for the answer of a probe that does not come. */
    private record Impatient(NodeClient client, BooleanSupplier silent) implements Upstream, Probe.Server {
        private static final Duration PATIENCE = Duration.ofMillis(500);

        @Override
        public NodeSettings settings() {
            return client.settings();
        }

        @Override
        public WireProtocol protocol() {
            return client.protocol();
        }

        @Override
        public NodeErrors errors() {
            return client.errors();
        }

        @Override
        public String title() {
            return client.title();
        }

        @Override
        public String address() {
            return client.address();
        }

        @Override
        public TokenStream stream(Prompt prompt) throws WireProtocol.Unsupported {
            return client.stream(prompt);
        }

        @Override
        public void onUsedUp(Consumer<Duration> listener) {
            client.onUsedUp(listener);
        }

        @Override
        public ProbeResult probe() throws InterruptedException {
            return Probe.of(this);
        }

        @Override
        public NodeClient.Reply get(String path, Duration timeout) throws NodeClient.Unreachable, InterruptedException {
            return client.get(path, silent.getAsBoolean() ? PATIENCE : timeout);
        }

        @Override
        public void close() {
            client.close();
        }
    }

    @BeforeEach
    void start() {
        fake = FakeUpstream.start().flavour(Flavour.LLAMA_SERVER).slots(7);
        NodeSettings settings = NodeSettings.at(Backend.LLAMA_SERVER, URI.create(fake.url()));
        Settings service = TestSettings.defaults();
        node = new Node(
                settings,
                service,
                new Impatient(new NodeClient(settings, vertx, Duration.ofSeconds(2)), silent::get),
                new MediaFetcher(vertx, service.permissions().hosts(), 0),
                clock,
                () -> {},
                changes::incrementAndGet,
                (_, _) -> {});
    }

    @AfterEach
    void stop() {
        node.close();
        fake.close();
    }

    @BeforeAll
    static void open() {
        vertx = Vertx.vertx();
    }

    @AfterAll
    static void close() {
        vertx.close().toCompletionStage().toCompletableFuture().join();
    }

    @Test
    void a_server_of_another_kind_than_its_backend_is_reported() throws InterruptedException {
        node.probe();
        assertThat(node.health().lastError()).isNull();

        fake.flavour(Flavour.VLLM);
        node.probe();

        assertThat(node.health().state()).isEqualTo(Node.State.UP);
        assertThat(node.health().lastError())
                .contains("the server there is vllm: set penstock.nodes.llama-server.backend to vllm");
    }

    @Test
    void a_server_that_loads_its_model_takes_jobs_once_it_has() throws InterruptedException {
        fake.probes(_ -> Optional.of(Answer.refuse(503, "Loading model")));
        node.probe();
        assertThat(node.health().state()).isEqualTo(Node.State.LOADING);
        assertThat(node.health().lastError()).endsWith("answered 503 (it loads its model)");
        assertThat(node.tryAcquire(0, false)).isNull();

        fake.probes(_ -> Optional.empty());
        node.probe();
        assertThat(node.health().state()).isEqualTo(Node.State.UP);
        assertThat(node.health().lastError()).isNull();
    }

    /** kill -STOP: its port accepts connections and requests, and no answer ever comes. */
    @Test
    void a_server_that_stands_still_is_down_though_jobs_keep_coming() throws InterruptedException {
        Duration patience = node.timeouts().firstToken();
        node.probe();
        Node.Slot slot = Objects.requireNonNull(node.tryAcquire(0, false));
        fake.probes(_ -> Optional.of(Answer.of("late").stallBeforeResponse()));
        silent.set(true);

        now.updateAndGet(time -> time.plus(patience.minusSeconds(1)));
        slot.heard();
        now.updateAndGet(time -> time.plus(patience.minusSeconds(1)));
        node.probe();
        assertThat(node.health().state()).as("its tokens come").isEqualTo(Node.State.UP);

        now.updateAndGet(time -> time.plusSeconds(1));
        node.probe();
        assertThat(node.health().state()).isEqualTo(Node.State.DOWN);
    }

    @Test
    void a_node_that_goes_down_is_one_warning_with_its_reason_and_each_state_is_one_line() throws InterruptedException {
        try (LogLines log = LogLines.of(Node.class)) {
            node.probe();
            node.probe();
            // a job's connection was refused, and then the probes' connections are refused too
            fake.stop();
            node.refused(JobFailure.of(JobFailure.Code.NODE_UNREACHABLE, "it refused the connection"));
            node.probe();
            node.probe();
            node.probe();
            fake.restart();
            node.probe();
            node.probe();

            assertThat(log.lines())
                    .satisfiesExactly(
                            up -> assertThat(up)
                                    .startsWith("INFO node=llama-server")
                                    .endsWith("is up"),
                            down -> assertThat(down)
                                    .startsWith("WARN")
                                    .contains("node=llama-server")
                                    .endsWith("is down: it refused the connection"),
                            again -> assertThat(again).startsWith("INFO").endsWith("is up"));
        }
    }

    @Test
    void a_node_that_was_never_up_is_one_warning_too() throws InterruptedException {
        fake.stop();
        try (LogLines log = LogLines.of(Node.class)) {
            node.probe();
            node.probe();

            assertThat(log.lines())
                    .singleElement()
                    .asString()
                    .startsWith("WARN")
                    .contains("refused the connection");
        }
    }

    @Test
    void a_node_that_is_down_is_named_with_its_reason() throws InterruptedException {
        fake.stop();
        Nodes nodes = new Nodes(
                TestSettings.ofFile(
                        Map.of("penstock.nodes.gpu-a.backend", "vllm", "penstock.nodes.gpu-a.url", fake.url())),
                vertx,
                Clock.systemUTC(),
                new SimpleMeterRegistry(),
                0);
        try {
            nodes.start();
            nodes.find("gpu-a").orElseThrow().awaitProbed(Duration.ofSeconds(30));

            assertThat(nodes.down().get("gpu-a")).contains("down since", "refused the connection: is it running?");
        } finally {
            nodes.close();
        }
    }

    @Test
    void a_probe_that_finds_all_as_it_was_changes_nothing() throws InterruptedException {
        node.probe();
        assertThat(changes).hasValue(1);
        node.probe();
        assertThat(changes).hasValue(1);

        fake.stop();
        node.probe();
        node.probe();
        assertThat(changes).hasValue(2);
    }

    @Test
    void a_node_that_refuses_for_load_takes_fewer_for_a_while() throws InterruptedException {
        node.probe();
        List<Node.Slot> held = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            held.add(node.tryAcquire(0, false));
        }
        held.getLast().failed(JobFailure.of(JobFailure.Code.NODE_OVERLOADED, "busy"));
        held.removeLast().close();
        held.removeLast().close();

        assertThat(node.limit()).as("its own").isEqualTo(7);
        assertThat(node.hasRoom()).as("it rests").isFalse();
        now.updateAndGet(time -> time.plusSeconds(1));
        held.add(node.tryAcquire(0, false));
        assertThat(node.inFlight()).isEqualTo(3);
        assertThat(node.tryAcquire(0, false)).isNull();
        now.updateAndGet(time -> time.plusSeconds(5));
        assertThat(node.tryAcquire(0, false)).isNotNull();
    }

    @Test
    void a_node_whose_limit_is_used_up_rests_before_it_refuses_anything() throws Exception {
        fake.flavour(Flavour.VLLM)
                .script(_ -> Answer.of("Hi")
                        .header("x-ratelimit-remaining-requests", "0")
                        .header("x-ratelimit-reset-requests", "20s"));
        node.probe();
        assertThat(node.hasRoom()).isTrue();

        Prompt prompt = Prompt.of(
                Task.CHAT,
                "tiny",
                Map.of("messages", List.of(Map.of("role", "user", "content", "Hi"))),
                Map.of(),
                Map.of(),
                0);
        try (TokenStream stream = node.upstream().stream(prompt)) {
            Heard.next(stream);
        }

        assertThat(node.hasRoom()).isFalse();
        assertThat(node.limitNow()).as("it rests, and its limit is as before").isEqualTo(node.limit());
        now.updateAndGet(time -> time.plusMillis(19_900));
        assertThat(node.hasRoom()).isFalse();
        now.updateAndGet(time -> time.plusMillis(100));
        assertThat(node.hasRoom()).isTrue();
    }

    @Test
    void the_slots_that_a_server_reports_are_shared_too() throws InterruptedException {
        node.share(new Replicas(List.of("a", "b", "c"), "a"));
        node.probe();

        List<Integer> shares = new ArrayList<>();
        for (String own : List.of("a", "b", "c")) {
            node.share(new Replicas(List.of("a", "b", "c"), own));
            shares.add(node.limit());
        }
        assertThat(shares).containsExactlyInAnyOrder(2, 2, 3);
        assertThat(node.requests().exceeded()).isNull();
    }

    @Test
    void what_runs_when_the_share_becomes_smaller_goes_on_and_nothing_else_begins() throws InterruptedException {
        node.probe();
        List<Node.Slot> held = new ArrayList<>();
        for (Node.Slot slot = node.tryAcquire(0, false); slot != null; slot = node.tryAcquire(0, false)) {
            held.add(slot);
        }
        assertThat(held).hasSize(7);

        node.share(new Replicas(List.of("a", "b"), ""));
        assertThat(node.limit()).isEqualTo(2);
        assertThat(node.inFlight()).isEqualTo(7);
        for (int left = 6; left >= 2; left--) {
            held.removeLast().close();
            assertThat(node.inFlight()).isEqualTo(left);
            assertThat(node.tryAcquire(0, false)).isNull();
        }
        held.removeLast().close();
        assertThat(node.tryAcquire(0, false)).isNotNull();
    }
}
