package dev.penstock.execution;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.JobFailure;
import dev.penstock.schedule.Avoid;
import dev.penstock.settings.Settings;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class RetryPlanTest {
    private static final Instant NOW = Instant.EPOCH;
    private static final Duration LEFT = Duration.ofMinutes(1);
    private static final Settings.Retries RETRIES =
            new Settings.Retries(3, Duration.ofMillis(200), Duration.ofSeconds(10));

    private final RetryPlan plan = new RetryPlan(RETRIES, 3, 0, () -> -1);

    @Test
    void three_attempts_that_a_node_failed_are_enough() {
        assertThat(fails(JobFailure.Code.STREAM_BROKEN, "a")).isEqualTo(new RetryPlan.Next.Anywhere());
        assertThat(fails(JobFailure.Code.IDLE_TIMEOUT, "b")).isEqualTo(new RetryPlan.Next.Anywhere());
        assertThat(fails(JobFailure.Code.NODE_ERROR, "a"))
                .isEqualTo(new RetryPlan.Next.GiveUp(JobFailure.of(JobFailure.Code.NODE_ERROR, "x")));
        assertThat(plan.counted()).isEqualTo(3);
    }

    @Test
    void attempts_of_an_earlier_run_count_too() {
        RetryPlan later = new RetryPlan(RETRIES, 3, 2, () -> 0);
        JobFailure failure = JobFailure.of(JobFailure.Code.NODE_ERROR, "x");

        assertThat(later.after(new RetryPlan.Failed(failure, "a", false), NOW, LEFT, RetryPlanTest::noOther))
                .isEqualTo(new RetryPlan.Next.GiveUp(failure));
    }

    /** Each of these failures reports that nothing was tried. */
    @ParameterizedTest
    @EnumSource(names = {"NODE_OVERLOADED", "NODE_UNREACHABLE"})
    void refusals_for_load_and_refused_connections_do_not_count(JobFailure.Code code) {
        for (int i = 0; i < 100; i++) {
            assertThat(fails(code, "a")).isEqualTo(new RetryPlan.Next.Anywhere());
        }
        assertThat(plan.counted()).isZero();

        assertThat(after(JobFailure.of(code, "x"), "a", true, RetryPlanTest::noOther))
                .isEqualTo(new RetryPlan.Next.Anywhere());
        assertThat(plan.counted()).as("an answer had begun").isEqualTo(1);
    }

    @Test
    void two_kills_of_a_server_close_together_are_two_attempts() {
        assertThat(fails(JobFailure.Code.STREAM_BROKEN, "a")).isEqualTo(new RetryPlan.Next.Anywhere());
        assertThat(fails(JobFailure.Code.NODE_UNREACHABLE, "a")).isEqualTo(new RetryPlan.Next.Anywhere());
        assertThat(fails(JobFailure.Code.STREAM_BROKEN, "a")).isEqualTo(new RetryPlan.Next.Anywhere());
        assertThat(fails(JobFailure.Code.NODE_UNREACHABLE, "a")).isEqualTo(new RetryPlan.Next.Anywhere());
        assertThat(plan.counted()).isEqualTo(2);
    }

    @Test
    void a_node_that_failed_is_asked_again_after_its_backoff() {
        fails(JobFailure.Code.STREAM_BROKEN, "a");

        assertThat(plan.avoid()).isEqualTo(new Avoid(Set.of(), Map.of("a", NOW.plusMillis(200))));
    }

    @Test
    void the_wait_doubles_with_each_failure_at_a_node_up_to_the_longest() {
        RetryPlan patient = new RetryPlan(RETRIES, 100, 0, () -> -1);
        List<Duration> waits = new ArrayList<>();
        for (int i = 0; i < 8; i++) {
            patient.after(
                    new RetryPlan.Failed(JobFailure.of(JobFailure.Code.NODE_ERROR, "x"), "a", false),
                    NOW,
                    LEFT,
                    RetryPlanTest::noOther);
            waits.add(Duration.between(NOW, patient.avoid().notBefore().getOrDefault("a", NOW)));
        }

        assertThat(waits)
                .extracting(Duration::toMillis)
                .containsExactly(200L, 400L, 800L, 1_600L, 3_200L, 6_400L, 10_000L, 10_000L);
    }

    @Test
    void a_node_that_refused_the_connection_is_asked_again_as_soon_as_it_is_up() {
        fails(JobFailure.Code.NODE_UNREACHABLE, "a");
        assertThat(plan.avoid()).isEqualTo(new Avoid(Set.of(), Map.of("a", NOW)));

        fails(JobFailure.Code.NODE_UNREACHABLE, "a");
        assertThat(plan.avoid())
                .as("unless it refuses again at once")
                .isEqualTo(new Avoid(Set.of(), Map.of("a", NOW.plusMillis(200))));
    }

    @ParameterizedTest
    @EnumSource(names = {"NODE_OVERLOADED", "STREAM_BROKEN", "NODE_ERROR", "FIRST_TOKEN_TIMEOUT", "IDLE_TIMEOUT"})
    void jobs_that_failed_together_come_back_at_different_times(JobFailure.Code code) {
        RetryPlan early = new RetryPlan(RETRIES, 3, 0, () -> 0);
        early.after(new RetryPlan.Failed(JobFailure.of(code, "x"), "a", false), NOW, LEFT, RetryPlanTest::noOther);
        fails(code, "a");

        assertThat(early.avoid().notBefore()).containsEntry("a", NOW.plusMillis(100));
        assertThat(plan.avoid().notBefore().get("a")).isBetween(NOW.plusMillis(199), NOW.plusMillis(200));
    }

    @Test
    void a_server_that_asks_for_time_gets_it() {
        RetryPlan.Next next = after(busy(Duration.ofSeconds(20)), "a", false, RetryPlanTest::noOther);

        assertThat(next).isEqualTo(new RetryPlan.Next.Anywhere());
        assertThat(plan.avoid()).isEqualTo(new Avoid(Set.of(), Map.of("a", NOW.plusSeconds(20))));
    }

    @Test
    void a_server_that_asks_for_more_time_than_the_job_has_ends_it_unless_another_node_may_serve_it() {
        List<Set<String>> asked = new ArrayList<>();
        fails(JobFailure.Code.MODEL_NOT_FOUND, "b");
        fails(JobFailure.Code.NODE_ERROR, "c");

        assertThat(after(busy(Duration.ofHours(2)), "a", false, asked::add)).isEqualTo(new RetryPlan.Next.Anywhere());
        assertThat(asked).containsExactly(Set.of("a", "b"));
        assertThat(after(busy(Duration.ofHours(2)), "a", false, RetryPlanTest::noOther))
                .isEqualTo(new RetryPlan.Next.GiveUp(
                        busy(Duration.ofHours(2)).saying(". It asks to wait PT2H, and the job has PT1M left")));
    }

    @Test
    void a_node_that_cannot_serve_the_job_is_left_out_for_good() {
        assertThat(fails(JobFailure.Code.MODEL_NOT_FOUND, "a")).isEqualTo(new RetryPlan.Next.Elsewhere());

        assertThat(plan.avoid()).isEqualTo(new Avoid(Set.of("a"), Map.of()));
        assertThat(plan.useless()).containsExactly("a");
        assertThat(plan.counted()).isZero();
    }

    @Test
    void a_request_that_no_node_can_serve_is_given_up() {
        assertThat(fails(JobFailure.Code.INVALID_REQUEST, "b"))
                .isEqualTo(new RetryPlan.Next.GiveUp(JobFailure.of(JobFailure.Code.INVALID_REQUEST, "x")));
    }

    private static boolean noOther(Set<String> closed) {
        return false;
    }

    private static JobFailure busy(@Nullable Duration after) {
        return JobFailure.of(JobFailure.Code.NODE_OVERLOADED, "busy").with(new JobFailure.Again(after, false));
    }

    private RetryPlan.Next fails(JobFailure.Code code, String node) {
        return after(JobFailure.of(code, "x"), node, false, RetryPlanTest::noOther);
    }

    private RetryPlan.Next after(JobFailure failure, String node, boolean spoke, Predicate<Set<String>> others) {
        return plan.after(new RetryPlan.Failed(failure, node, spoke), NOW, LEFT, others);
    }
}
