package dev.penstock.node;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.node.signals.Scrape;
import dev.penstock.node.signals.SignalSource;
import dev.penstock.node.signals.Signals;
import dev.penstock.settings.read.TestSettings;
import dev.penstock.testkit.LogLines;
import dev.penstock.testkit.PlayedClock;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

/** How the figures of a server change the load of its node. */
class NodeSignalsTest {
    private Instant now = Instant.EPOCH;
    private final Clock clock = PlayedClock.of(() -> now);
    private final FakeNodes nodes =
            new FakeNodes(TestSettings.ofFile(file(TestSettings.node("gpu-a", "vllm", 8))), clock, (_, _) -> {});
    private final FakeNodes.Server server = nodes.server("gpu-a").up("llama", "phi");
    private final Node node = nodes.find("gpu-a").orElseThrow();
    private final ProbeLoop loop = new ProbeLoop(node, () -> false);
    private final AtomicInteger changes = new AtomicInteger();

    NodeSignalsTest() {
        nodes.onChange(_ -> changes.incrementAndGet());
    }

    private static Map<String, String> file(Map<String, String> keys) {
        Map<String, String> file = new HashMap<>();
        keys.forEach((key, value) -> file.put("penstock." + key, value));
        return file;
    }

    private static Scrape seen(int running, int waiting, double cache) {
        return new Scrape.Seen(SignalSource.VLLM_METRICS, new Signals(running, waiting, cache, Optional.empty()));
    }

    /** The node reads a prompt of 400 characters, 100 tokens, in a tenth of a second. */
    private void measure() {
        try (Node.Slot slot = Objects.requireNonNull(node.tryAcquire(400, false))) {
            now = now.plus(Duration.ofMillis(100));
            slot.heard();
        }
    }

    @Test
    void the_requests_of_other_clients_are_work_in_seconds() throws InterruptedException {
        measure();
        assertThat(node.requests().load().seconds()).isZero();
        server.shows(seen(4, 2, 0.1));
        int before = changes.get();

        loop.scrape();

        assertThat(node.requests().load().seconds()).isEqualTo(0.3);
        assertThat(node.requests().load().othersSeconds()).isEqualTo(0.3);
        assertThat(changes.get()).as("the schedule sees it").isEqualTo(before + 1);
        loop.scrape();
        assertThat(changes.get()).as("nothing has changed").isEqualTo(before + 1);
    }

    @Test
    void our_own_requests_do_not_count_twice() throws InterruptedException {
        measure();
        try (Node.Slot _ = Objects.requireNonNull(node.tryAcquire(0, false));
                Node.Slot _ = Objects.requireNonNull(node.tryAcquire(0, false))) {
            server.shows(seen(2, 0, 0));
            loop.scrape();

            assertThat(node.requests().load().othersTokens()).isZero();
        }
    }

    @Test
    void figures_that_are_too_old_are_ignored_and_the_schedule_is_told() throws InterruptedException {
        measure();
        server.shows(seen(0, 3, 0.99));
        loop.scrape();
        assertThat(node.requests().load().isNearlyFull()).isTrue();
        server.shows(new Scrape.Failed("silent"));

        now = now.plus(Duration.ofSeconds(5));
        int before = changes.get();
        loop.scrape();
        assertThat(changes.get()).as("five seconds old").isEqualTo(before);
        now = now.plus(Duration.ofMillis(1));
        loop.scrape();

        assertThat(changes.get()).isEqualTo(before + 1);
        assertThat(node.requests().load().othersTokens()).isZero();
        assertThat(node.requests().load().isNearlyFull()).isFalse();
        assertThat(node.requests().signals().orElseThrow().isStale(clock.millis()))
                .isTrue();
        assertThat(node.health().state()).isEqualTo(Node.State.UP);
    }

    @Test
    void the_models_in_memory_follow_the_server() throws InterruptedException {
        server.shows(new Scrape.Seen(SignalSource.OLLAMA_PS, new Signals(0, 0, 0, Optional.of(Set.of("phi")))));
        long version = nodes.version();

        loop.scrape();

        assertThat(node.health().models())
                .extracting(model -> model.id() + " " + model.loaded())
                .containsExactly("llama false", "phi true");
        assertThat(nodes.version()).isGreaterThan(version);
        long now = nodes.version();
        loop.scrape();
        assertThat(nodes.version()).isEqualTo(now);
    }

    @Test
    void a_server_without_figures_is_one_line_in_the_log_and_stays_up() throws InterruptedException {
        server.shows(new Scrape.Failed("/metrics answered with status 404"));
        try (LogLines log = LogLines.of(ProbeLoop.class)) {
            loop.scrape();
            loop.scrape();

            assertThat(log.lines()).singleElement().asString().contains("/metrics answered with status 404");
        }
        assertThat(node.health().state()).isEqualTo(Node.State.UP);
        assertThat(node.requests().signals()).isEmpty();
    }

    @Test
    void a_node_that_is_down_is_not_asked() throws InterruptedException {
        server.shows(seen(1, 1, 0));
        server.down();

        loop.scrape();

        assertThat(node.requests().signals()).isEmpty();
    }
}
