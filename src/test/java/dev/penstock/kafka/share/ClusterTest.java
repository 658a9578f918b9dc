package dev.penstock.kafka.share;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.kafka.share.lane.LaneStep;
import java.util.Map;
import org.junit.jupiter.api.Test;

class ClusterTest {
    private final Cluster cluster = new Cluster(10_000);

    private void know(boolean complete) {
        cluster.sent();
        cluster.onView(
                new Cluster.View(
                        Map.of(1, new Cluster.Address("a", 1), 2, new Cluster.Address("b", 1)), Map.of(), complete),
                1_000);
    }

    @Test
    void the_brokers_are_asked_again_after_a_while_or_soon_if_something_is_missing() {
        know(true);
        assertThat(cluster.askAt()).isEqualTo(11_000);

        know(false);
        assertThat(cluster.askAt()).isEqualTo(1_200);
    }

    @Test
    void while_an_answer_is_awaited_they_are_not_asked() {
        cluster.sent();

        assertThat(cluster.askAt()).isEqualTo(LaneStep.NEVER);
    }

    /** The search for a coordinator fails every 20 ms. */
    @Test
    void brokers_that_cannot_be_reached_do_not_delay_the_question() {
        know(true);
        for (int now = 1_000; now < 1_100; now += 20) {
            cluster.onDown(now);
        }

        assertThat(cluster.askAt()).isEqualTo(1_100);
        assertThat(cluster.turn()).isEqualTo(5);
        assertThat(cluster.order()).containsExactly(2, 1);
    }
}
