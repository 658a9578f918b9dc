package dev.penstock.node;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.Usage;
import dev.penstock.settings.NodeSettings;
import dev.penstock.tenant.RateWindow;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;

class NodeSlotsTest {
    private final NodeSlots slots =
            new NodeSlots("gpu-a", 4, NodeSettings.Limits.NONE, new Breaker.Rules(20, 0.5, 5, 10_000));
    private final Deque<NodeSlots.Held> held = new ArrayDeque<>();

    @Test
    void requests_begin_until_the_limit_is_in_flight() {
        take(4);

        assertThat(slots.areFree(0)).isFalse();
        slots.free(held.removeLast(), 0);
        assertThat(slots.areFree(0)).isTrue();
        assertThat(slots.inFlight()).isEqualTo(3);
    }

    @Test
    void a_smaller_share_leaves_running_requests_alone() {
        take(4);
        slots.share(new Replicas(List.of("a", "b"), "a"), 0);

        assertThat(slots.limit()).isEqualTo(2);
        assertThat(slots.inFlight()).isEqualTo(4);
        slots.free(held.removeLast(), 0);
        slots.free(held.removeLast(), 0);
        assertThat(slots.areFree(0)).isFalse();
        slots.free(held.removeLast(), 0);
        assertThat(slots.areFree(0)).isTrue();
    }

    @Test
    void only_a_larger_share_is_reported_as_grown() {
        assertThat(slots.total(6)).isTrue();
        assertThat(slots.total(6)).isFalse();
        assertThat(slots.total(2)).isFalse();

        slots.share(new Replicas(List.of("a", "b"), "a"), 0);
        assertThat(slots.total(4)).isTrue();
        assertThat(slots.limit()).isEqualTo(2);
    }

    @Test
    void a_refused_request_does_not_count_for_the_limit_after_it() {
        take(4);
        slots.refused(null, 0);

        assertThat(slots.limitAt(0)).isEqualTo(3);
        assertThat(slots.limit()).as("its share").isEqualTo(4);
        slots.free(held.removeLast(), 0);
        slots.free(held.removeLast(), 0);
        assertThat(slots.areFree(0)).as("it rests").isFalse();
        assertThat(slots.areFree(1_000)).isTrue();
    }

    @Test
    void a_later_refusal_replaces_the_changes_of_an_earlier_one() {
        take(4);
        long first = slots.refused(Duration.ofSeconds(2), 0);
        assertThat(slots.changeInMillis(first, 0)).isEqualTo(2_000);

        long second = slots.refused(null, 2_000);
        assertThat(slots.changeInMillis(first, 2_000)).isNegative();
        assertThat(slots.changeInMillis(second, 2_000)).isPositive();
        assertThat(slots.changeInMillis(second, 60_000)).as("the full limit").isNegative();
    }

    @Test
    void more_replicas_than_slots_are_a_warning() {
        assertThat(slots.exceeded()).isNull();
        slots.share(new Replicas(List.of("a", "b", "c", "d", "e"), "a"), 0);

        assertThat(slots.limit()).isEqualTo(1);
        assertThat(slots.exceeded()).contains("node 'gpu-a' takes 4 at once, and there are 5 replicas");
    }

    @Test
    void no_request_begins_while_the_minute_is_full() {
        NodeSlots limited = slots(OptionalInt.of(2), OptionalInt.empty());
        NodeSlots.Held first = limited.take(0, false, 0);
        limited.free(first, 10);
        limited.free(limited.take(0, false, 20), 30);

        assertThat(limited.areFree(30)).isFalse();
        assertThat(limited.limitAt(30))
                .as("the requests at once are another limit")
                .isEqualTo(4);
        assertThat(limited.capacityAt(30)).as("no record is of use").isZero();
        assertThat(limited.fullMinute(30)).isEqualTo("2 of 2 requests in the last minute");
        assertThat(limited.windowOpensInMillis(30)).isEqualTo(RateWindow.LENGTH_MILLIS - 30);
        assertThat(limited.areFree(RateWindow.LENGTH_MILLIS)).isTrue();
        assertThat(limited.fullMinute(RateWindow.LENGTH_MILLIS)).isNull();
    }

    @Test
    void tokens_count_as_an_estimate_until_the_node_reports_them() {
        NodeSlots limited = slots(OptionalInt.empty(), OptionalInt.of(500));
        NodeSlots.Held request = limited.take(2_000, false, 0);
        assertThat(limited.fullMinute(0))
                .as("a fourth of the characters, and an answer")
                .contains("700 of 500 tokens");

        limited.answered(request, new Usage(300, 20), 1, 1_000);
        assertThat(limited.areFree(1_000)).isTrue();
    }

    @Test
    void replicas_share_the_limits_of_a_minute() {
        NodeSlots limited = slots(OptionalInt.of(30), OptionalInt.of(2));
        limited.share(new Replicas(List.of("a", "b", "c"), "a"), 0);

        assertThat(limited.exceeded()).contains("node 'gpu-a' has tokens-per-minute 2, and there are 3 replicas");
        limited.take(0, false, 0);
        assertThat(limited.fullMinute(0)).contains("200 of 1 tokens");
    }

    @Test
    void an_adaptive_limit_is_within_the_share() {
        NodeSlots adaptive = new NodeSlots(
                "gpu-a",
                8,
                new NodeSettings.Limits(OptionalInt.empty(), OptionalInt.empty(), 2, true),
                new Breaker.Rules(20, 0.5, 5, 10_000));
        assertThat(adaptive.limit()).isEqualTo(2);
        for (int i = 0; i < 100; i++) {
            List<NodeSlots.Held> all = new ArrayList<>();
            while (adaptive.areFree(i * 1_000L)) {
                all.add(adaptive.take(0, false, i * 1_000L));
            }
            all.forEach(request -> adaptive.spoke(request, request.begunMillis() + 100));
            all.forEach(request -> adaptive.free(request, request.begunMillis() + 200));
        }
        assertThat(adaptive.limit()).isEqualTo(8);

        adaptive.share(new Replicas(List.of("a", "b"), "a"), 100_000);
        assertThat(adaptive.limit()).isEqualTo(4);
    }

    private static NodeSlots slots(OptionalInt requests, OptionalInt tokens) {
        return new NodeSlots(
                "gpu-a", 4, new NodeSettings.Limits(requests, tokens, 1, false), new Breaker.Rules(20, 0.5, 5, 10_000));
    }

    private void take(int requests) {
        for (int i = 0; i < requests; i++) {
            assertThat(slots.areFree(0)).isTrue();
            held.add(slots.take(0, false, 0));
        }
    }
}
