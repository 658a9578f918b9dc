package dev.penstock.node;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.settings.NodeSettings;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
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

    private void take(int requests) {
        for (int i = 0; i < requests; i++) {
            assertThat(slots.areFree(0)).isTrue();
            held.add(slots.take(0, 0));
        }
    }
}
