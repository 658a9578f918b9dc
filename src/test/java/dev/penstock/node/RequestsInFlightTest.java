package dev.penstock.node;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.Usage;
import dev.penstock.schedule.PausedTime;
import dev.penstock.settings.Settings;
import dev.penstock.settings.read.TestSettings;
import dev.penstock.tenant.RateWindow;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

class RequestsInFlightTest {
    private static final Duration WINDOW = Duration.ofMillis(RateWindow.LENGTH_MILLIS);

    private final PausedTime time = new PausedTime();
    private final Settings settings = TestSettings.ofFile(Map.of(
            "penstock.nodes.gpu-a.backend", "vllm",
            "penstock.nodes.gpu-a.url", "http://127.0.0.1:1",
            "penstock.nodes.gpu-a.requests-per-minute", "2"));
    private final FakeNodes nodes = new FakeNodes(settings, time.clock(), time::later);
    private final Node node = nodes.find("gpu-a").orElseThrow();
    private final AtomicInteger changes = new AtomicInteger();

    @Test
    void listeners_hear_when_a_full_minute_has_room_again() {
        nodes.server("gpu-a").up("llama");
        Objects.requireNonNull(node.tryAcquire(0, false)).close();
        time.pass(Duration.ofSeconds(10));
        Objects.requireNonNull(node.tryAcquire(0, false)).close();
        assertThat(node.tryAcquire(0, false)).isNull();
        assertThat(node.requests().fullMinute()).hasValue("2 of 2 requests in the last minute");
        nodes.onChange(_ -> changes.incrementAndGet());

        time.pass(WINDOW.minusSeconds(10).minusMillis(1));
        assertThat(changes).hasValue(0);
        time.pass(Duration.ofMillis(1));
        assertThat(changes).hasValue(1);
        assertThat(node.hasRoom()).isTrue();
    }

    @Test
    void listeners_hear_of_a_minute_that_an_answer_has_filled() {
        Settings tokens = TestSettings.ofFile(Map.of(
                "penstock.nodes.gpu-a.backend", "vllm",
                "penstock.nodes.gpu-a.url", "http://127.0.0.1:1",
                "penstock.nodes.gpu-a.tokens-per-minute", "1000"));
        FakeNodes limited = new FakeNodes(tokens, time.clock(), time::later);
        Node only = limited.find("gpu-a").orElseThrow();
        limited.server("gpu-a").up("llama");
        try (Node.Slot slot = Objects.requireNonNull(only.tryAcquire(400, false))) {
            slot.sent();
            assertThat(only.hasRoom()).isTrue();
            slot.answered(new Usage(100, 1_500), 1);
        }
        assertThat(only.hasRoom()).isFalse();
        limited.onChange(_ -> changes.incrementAndGet());

        time.pass(WINDOW);
        assertThat(changes.get()).isPositive();
        assertThat(only.hasRoom()).isTrue();
    }

    @Test
    void a_larger_share_is_heard_of_too() {
        nodes.server("gpu-a").up("llama");
        nodes.share(new Replicas(List.of("a", "b"), "a"));
        Objects.requireNonNull(node.tryAcquire(0, false)).close();
        time.pass(Duration.ofSeconds(1));
        nodes.share(new Replicas(List.of("a"), "a"));
        nodes.onChange(_ -> changes.incrementAndGet());
        assertThat(node.hasRoom()).isFalse();

        time.pass(WINDOW);
        assertThat(changes.get()).isPositive();
        assertThat(node.hasRoom()).isTrue();
    }
}
