package dev.penstock.node;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.net.httpserver.HttpServer;
import dev.penstock.job.Task;
import dev.penstock.job.TokenEvent;
import dev.penstock.node.program.LlamaServerProcess;
import dev.penstock.node.program.ModelFiles;
import dev.penstock.node.protocol.Prompt;
import dev.penstock.node.protocol.WireProtocol;
import dev.penstock.node.upstream.ProbeResult;
import dev.penstock.node.upstream.TokenStream;
import dev.penstock.node.upstream.Upstream;
import dev.penstock.settings.Backend;
import dev.penstock.settings.NodeSettings;
import dev.penstock.settings.read.TestSettings;
import dev.penstock.testkit.ChildProcess;
import dev.penstock.testkit.Conditions;
import dev.penstock.testkit.LlamaServer;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.vertx.core.Vertx;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.opentest4j.TestAbortedException;

/** A real llama-server that Penstock starts, keeps running and ends. */
class LlamaServerProcessIT {
    private static final Duration PATIENCE = Duration.ofSeconds(60);

    private final Vertx vertx = Vertx.vertx();
    private Nodes nodes;
    private LlamaServer.Programs had;

    @BeforeEach
    void start() throws InterruptedException {
        had = LlamaServer.programs(LlamaServer.Model.SLOW)
                .orElseThrow(() -> new TestAbortedException("SKIPPED: no llama-server can be had here"));
        nodes = new Nodes(TestSettings.defaults(), vertx, Clock.systemUTC(), new SimpleMeterRegistry(), 0);
    }

    @AfterEach
    void stop() throws InterruptedException {
        nodes.close();
        Conditions.await(() -> servers().findAny().isEmpty(), PATIENCE, "no server is left");
        vertx.close().toCompletionStage().toCompletableFuture().join();
    }

    @Test
    void one_that_is_killed_is_started_again() throws Exception {
        nodes.added(Map.of("own", settings(had.gguf(), "-c", "512")));
        Node node = up("own");
        assertThat(node.address()).startsWith("http://127.0.0.1:");
        assertThat(node.health().models())
                .extracting(WireProtocol.Model::id)
                .containsExactly(ModelFiles.nameOf(had.gguf()));
        answer(node).assertWhole();
        ProcessHandle first = servers().findFirst().orElseThrow();

        first.destroyForcibly();

        Conditions.await(() -> !first.isAlive(), PATIENCE, "it is dead");
        Conditions.await(() -> servers().anyMatch(other -> other.pid() != first.pid()), PATIENCE, "there is another");
        awaitUp(node);
        answer(node).assertWhole();
    }

    @Test
    void one_that_hangs_is_killed_and_started_again() throws Exception {
        nodes.added(Map.of("own", settings(had.gguf(), "-c", "512")));
        Node node = up("own");
        ProcessHandle first = servers().findFirst().orElseThrow();

        ChildProcess.signal("STOP", first.pid());

        Conditions.await(
                () -> {
                    askHowItIs(node);
                    return !first.isAlive();
                },
                PATIENCE,
                "it is killed");
        Conditions.await(
                () -> String.valueOf(node.health().lastError()).contains("it hangs")
                        || servers().anyMatch(other -> other.pid() != first.pid()),
                PATIENCE,
                "it says why, or there is another");
        awaitUp(node);
        answer(node).assertWhole();
    }

    /** With one thread for HTTP, no thread is free for a probe during an answer. */
    @Test
    void one_that_is_busy_is_left_alone() throws Exception {
        nodes.added(Map.of("own", settings(had.gguf(), "-c", "4096", "--parallel", "1", "--threads-http", "1")));
        Node node = up("own");
        ProcessHandle server = servers().findFirst().orElseThrow();
        try (Node.Slot slot = Objects.requireNonNull(node.tryAcquire(0, false));
                TokenStream running = node.upstream().stream(prompt(4000))) {
            Heard.next(running);
            for (int silent = 0; silent < 4; silent++) {
                askHowItIs(node);
                assertThat(Heard.next(running)).isNotInstanceOf(TokenEvent.Broken.class);
                slot.heard();
            }
        }
        assertThat(server.isAlive()).isTrue();
        assertThat(servers()).singleElement().isEqualTo(server);
    }

    @Test
    void a_taken_port_is_reported_and_no_other_server_counts_as_started() throws Exception {
        LlamaServerProcess.Port port = LlamaServerProcess.Port.free();
        AtomicInteger asked = new AtomicInteger();
        HttpServer other = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), port.number()), 1);
        other.createContext("/", exchange -> {
            asked.incrementAndGet();
            byte[] models = "{\"data\":[{\"id\":\"theirs\"}],\"total_slots\":4}".getBytes(StandardCharsets.UTF_8);
            exchange.sendResponseHeaders(200, models.length);
            exchange.getResponseBody().write(models);
            exchange.close();
        });
        other.start();
        NodeSettings settings = settings(had.gguf(), "-c", "512");
        try (LlamaServerProcess own = new LlamaServerProcess(
                settings,
                Objects.requireNonNull(settings.program()),
                Map.of(),
                vertx,
                Duration.ofSeconds(2),
                CompletableFuture.completedFuture(true),
                port)) {
            Conditions.await(
                    () -> String.valueOf(probe(own)).contains("port " + port.number() + " of 127.0.0.1 is taken"),
                    PATIENCE,
                    "it says so");
            assertThat(servers()).isEmpty();
            assertThat(asked).as("it is not asked either").hasValue(0);

            other.stop(0);

            Conditions.await(
                    () -> probe(own) instanceof ProbeResult.Up, PATIENCE, "it takes the port when that is free");
        } finally {
            other.stop(0);
        }
    }

    private static ProbeResult probe(Upstream upstream) {
        try {
            return upstream.probe();
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    private static void askHowItIs(Node node) {
        try {
            node.probe();
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    @Test
    void another_start_parameter_drains_it_and_starts_another() throws Exception {
        nodes.added(Map.of("own", settings(had.gguf(), "-c", "4096")));
        Node before = up("own");
        ProcessHandle first = servers().findFirst().orElseThrow();
        Node.Slot slot = before.tryAcquire(0, false);
        assertThat(slot).isNotNull();
        try (slot;
                TokenStream running = before.upstream().stream(prompt(3000))) {
            assertThat(Heard.next(running)).isNotInstanceOf(TokenEvent.Broken.class);

            nodes.added(Map.of("own", settings(had.gguf(), "-c", "512")));

            Node after = nodes.find("own").orElseThrow();
            assertThat(after).isNotSameAs(before);
            assertThat(before.health().state()).isEqualTo(Node.State.DRAINING);
            assertThat(first.isAlive()).as("what runs there goes on").isTrue();
            assertThat(servers()).as("and holds the memory").hasSize(1);
        }

        Node after = up("own");
        assertThat(first.isAlive()).isFalse();
        answer(after).assertWhole();
        assertThat(servers())
                .singleElement()
                .satisfies(second -> assertThat(second.info().commandLine().orElse(""))
                        .contains("-c 512")
                        .doesNotContain("4096"));
    }

    @Test
    void a_failed_start_is_reported_with_the_way_out() throws Exception {
        nodes.added(Map.of("own", settings(Path.of("/nowhere/a.gguf"))));
        Node node = nodes.find("own").orElseThrow();

        Conditions.await(
                () -> String.valueOf(node.health().lastError()).contains("penstock.nodes.own.model-path"),
                PATIENCE,
                "it says why");

        assertThat(node.health().lastError())
                .isEqualTo("node 'own': llama-server with /nowhere/a.gguf cannot be started: /nowhere/a.gguf is no file"
                        + " that can be read (penstock.nodes.own.model-path)");
    }

    private Node up(String name) throws InterruptedException {
        Node node = nodes.find(name).orElseThrow();
        awaitUp(node);
        return node;
    }

    private static void awaitUp(Node node) throws InterruptedException {
        Conditions.await(
                () -> {
                    askHowItIs(node);
                    return node.health().state() == Node.State.UP;
                },
                PATIENCE,
                "it is up: " + node.health().lastError());
    }

    private static Heard answer(Node node) throws Exception {
        Stage stage = Stage.of(node.upstream(), "any");
        return Heard.of(stage, prompt(5));
    }

    private static Prompt prompt(int tokens) {
        return Prompt.of(
                Task.CHAT,
                "any",
                Map.of("messages", List.of(Map.of("role", "user", "content", "Hi")), "max_tokens", tokens),
                Map.of(),
                Map.of(),
                0);
    }

    private NodeSettings settings(Path model, String... arguments) {
        List<String> all = Stream.concat(Stream.of("-t", "1", "--no-webui"), Stream.of(arguments))
                .toList();
        return NodeSettings.started(
                "own",
                Backend.LLAMA_SERVER,
                NodeSettings.Program.of(
                        had.folder().resolve("llama-server").toString(), model, all.toArray(String[]::new)));
    }

    private static Stream<ProcessHandle> servers() {
        return ProcessHandle.current()
                .descendants()
                .filter(process -> process.info().command().orElse("").endsWith("llama-server"));
    }
}
