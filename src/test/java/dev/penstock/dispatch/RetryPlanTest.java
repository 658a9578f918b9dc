package dev.penstock.dispatch;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.JobFailure;
import dev.penstock.schedule.Avoid;
import dev.penstock.settings.Settings;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class RetryPlanTest {
    private static final Instant NOW = Instant.EPOCH;
    private static final Settings.Retries RETRIES =
            new Settings.Retries(3, Duration.ofMillis(200), Duration.ofSeconds(10));

    private final RetryPlan plan = new RetryPlan(RETRIES, 3, 0, () -> -1);

    @Test
    void three_attempts_that_a_node_failed_are_enough() {
        assertThat(fails(JobFailure.Code.STREAM_BROKEN, "a")).isTrue();
        assertThat(fails(JobFailure.Code.IDLE_TIMEOUT, "b")).isTrue();
        assertThat(fails(JobFailure.Code.NODE_ERROR, "a")).isFalse();
        assertThat(plan.counted()).isEqualTo(3);
    }

    @Test
    void what_failed_in_an_earlier_run_counts_too() {
        RetryPlan later = new RetryPlan(RETRIES, 3, 2, () -> 0);

        assertThat(later.failed(JobFailure.of(JobFailure.Code.NODE_ERROR, "x"), "a", false, NOW))
                .isFalse();
    }

    /** Each of them says that nothing was tried. */
    @ParameterizedTest
    @EnumSource(names = {"NODE_OVERLOADED", "NODE_UNREACHABLE"})
    void refusals_for_load_and_refused_connections_do_not_count(JobFailure.Code code) {
        for (int i = 0; i < 100; i++) {
            assertThat(fails(code, "a")).isTrue();
        }
        assertThat(plan.counted()).isZero();

        assertThat(plan.failed(JobFailure.of(code, "x"), "a", true, NOW)).isTrue();
        assertThat(plan.counted()).as("an answer had begun").isEqualTo(1);
    }

    @Test
    void two_kills_of_a_server_close_together_are_two_attempts() {
        assertThat(fails(JobFailure.Code.STREAM_BROKEN, "a")).isTrue();
        assertThat(fails(JobFailure.Code.NODE_UNREACHABLE, "a")).isTrue();
        assertThat(fails(JobFailure.Code.STREAM_BROKEN, "a")).isTrue();
        assertThat(fails(JobFailure.Code.NODE_UNREACHABLE, "a")).isTrue();
        assertThat(plan.counted()).isEqualTo(2);
    }

    @Test
    void a_node_that_failed_is_asked_again_after_its_backoff() {
        fails(JobFailure.Code.STREAM_BROKEN, "a");

        assertThat(plan.avoid()).isEqualTo(new Avoid(Set.of(), Map.of("a", NOW.plusMillis(200))));
    }

    @Test
    void a_node_that_refused_the_connection_is_asked_again_as_soon_as_it_is_up() {
        fails(JobFailure.Code.NODE_UNREACHABLE, "a");
        assertThat(plan.avoid()).isEqualTo(new Avoid(Set.of(), Map.of("a", NOW)));

        fails(JobFailure.Code.NODE_UNREACHABLE, "a");
        assertThat(plan.avoid())
                .as("but for one that goes on like that")
                .isEqualTo(new Avoid(Set.of(), Map.of("a", NOW.plusMillis(200))));
    }

    @Test
    void a_server_that_names_a_time_is_not_asked_before_it() {
        plan.failed(
                JobFailure.of(JobFailure.Code.NODE_OVERLOADED, "busy")
                        .with(new JobFailure.Again(Duration.ofSeconds(20), false)),
                "a",
                false,
                NOW);

        assertThat(plan.avoid()).isEqualTo(new Avoid(Set.of(), Map.of("a", NOW.plusSeconds(20))));
        assertThat(plan.closedUntil(NOW.plusSeconds(19))).containsExactly("a");
        assertThat(plan.closedUntil(NOW.plusSeconds(21))).isEmpty();
    }

    @Test
    void a_node_that_cannot_serve_the_job_is_left_out_for_good() {
        assertThat(fails(JobFailure.Code.MODEL_NOT_FOUND, "a")).isTrue();

        assertThat(plan.avoid()).isEqualTo(new Avoid(Set.of("a"), Map.of()));
        assertThat(plan.counted()).isZero();
        assertThat(fails(JobFailure.Code.INVALID_REQUEST, "b")).isFalse();
    }

    private boolean fails(JobFailure.Code code, String node) {
        return plan.failed(JobFailure.of(code, "x"), node, false, NOW);
    }
}
