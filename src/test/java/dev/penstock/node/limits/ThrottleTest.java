package dev.penstock.node.limits;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class ThrottleTest {
    private final Throttle throttle = new Throttle();

    @Test
    void a_node_that_refuses_for_load_rests_and_takes_what_it_had_taken() {
        throttle.refused(3, null, 1_000);

        assertThat(throttle.rests(1_000)).isTrue();
        assertThat(throttle.rests(1_100)).isFalse();
        assertThat(throttle.limit(64, 1_100)).isEqualTo(3);
    }

    @Test
    void it_comes_back_step_by_step() {
        throttle.refused(3, null, 0);

        List<Integer> limits = new ArrayList<>();
        for (long millis = 0; millis <= 35_000; millis += 5_000) {
            limits.add(throttle.limit(64, millis));
        }
        assertThat(limits).containsExactly(3, 4, 6, 10, 18, 34, 64, 64);
        assertThat(throttle.changesInMillis(64, 35_000)).isNegative();
    }

    @Test
    void the_refusals_of_a_burst_are_one_and_those_that_follow_make_the_rest_longer() {
        for (int taken = 12; taken >= 3; taken--) {
            throttle.refused(taken, null, 0);
        }
        assertThat(throttle.changesInMillis(64, 0)).isEqualTo(100);
        assertThat(throttle.limit(64, 100)).isEqualTo(3);

        throttle.refused(0, null, 100);
        assertThat(throttle.changesInMillis(64, 100)).isEqualTo(200);
        assertThat(throttle.limit(64, 300)).as("one at least").isEqualTo(1);
        throttle.answered();
        throttle.refused(1, null, 300);
        assertThat(throttle.changesInMillis(64, 300)).isEqualTo(100);
        for (long millis = 1_000; millis < 100_000; millis += 10_000) {
            throttle.refused(1, null, millis);
        }
        assertThat(throttle.changesInMillis(64, 91_000)).isEqualTo(5_000);
    }

    @Test
    void it_rests_as_long_as_it_asks_but_for_what_no_node_may_ask() {
        throttle.refused(3, Duration.ofSeconds(20), 0);
        assertThat(throttle.rests(19_999)).isTrue();
        assertThat(throttle.rests(20_000)).isFalse();

        throttle.refused(3, Duration.ofDays(1), 20_000);
        assertThat(throttle.rests(80_000)).isFalse();
    }
}
