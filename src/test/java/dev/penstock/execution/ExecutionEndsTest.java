package dev.penstock.execution;

import static dev.penstock.execution.ExecutionRig.BROKEN;
import static dev.penstock.execution.ExecutionRig.VLLM;
import static dev.penstock.execution.ExecutionRig.VLLM_B;
import static dev.penstock.execution.ExecutionRig.busy;
import static dev.penstock.execution.ExecutionRig.text;
import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.PromptJob;
import dev.penstock.job.TokenEvent;
import dev.penstock.job.Usage;
import dev.penstock.node.FakeNodes;
import dev.penstock.node.RequestsInFlight;
import dev.penstock.schedule.Admission;
import dev.penstock.settings.Rule;
import dev.penstock.testkit.Conditions;
import dev.penstock.wire.record.Pauses;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What ends a job before its answer is whole: its time limits, a cancellation, a stop of the run. */
@Timeout(60)
class ExecutionEndsTest {
    @Test
    void a_job_that_times_out_reports_the_failure_of_its_last_attempt() {
        ExecutionRig rig = new ExecutionRig(VLLM);
        rig.nodes.server("gpu-a").up("llama").onCall(call -> call.fail(busy(null)));

        ExecutionRig.Run run =
                rig.start(rig.job().timeout(Duration.ofMillis(300)).model("llama"));
        rig.passUntil(run::isOver, () -> "it goes on");

        assertThat(run.failure().code()).isEqualTo(JobFailure.Code.TIMEOUT);
        assertThat(run.failure().message()).contains("longer than its timeout, PT0.3S", "currently busy");
    }

    @Test
    void a_stream_that_outlasts_the_timeout_ends_with_the_figures_of_its_attempt() {
        ExecutionRig rig = new ExecutionRig(VLLM);
        FakeNodes.Server server = rig.nodes.server("gpu-a").up("llama");
        ExecutionRig.Run run =
                rig.start(rig.job().timeout(Duration.ofSeconds(20)).model("llama"));
        FakeNodes.Call call = ExecutionRig.awaitCalls(server, 1).getFirst();

        rig.pass(Duration.ofSeconds(20));

        assertThat(run.failure().message()).isEqualTo("the job ran longer than its timeout, PT20S");
        assertThat(((JobEvent.Failed) run.outcome().event()).execution())
                .isEqualTo(new JobEvent.Execution(
                        "gpu-a", "vllm", "llama", 0, null, 20_000, 1, List.of(), List.of(), null, 0));
        assertThat(run.sink.names()).containsExactly("started 1", "failed 1");
        assertThat(call.isOpen()).isFalse();
        assertThat(rig.count("penstock.attempts", "node", "gpu-a", "outcome", "timeout"))
                .isEqualTo(1);
    }

    @Test
    void the_timeout_counts_from_the_first_start_of_an_earlier_run() {
        ExecutionRig rig = new ExecutionRig(VLLM);
        FakeNodes.Server server = rig.nodes.server("gpu-a").up("llama");
        PromptJob job = rig.job().timeout(Duration.ofSeconds(20)).model("llama");
        rig.pass(Duration.ofSeconds(15));
        ExecutionRig.Run run = rig.start(new Work(job, Rule.NONE, ExecutionRig.RECORD, Instant.EPOCH, 1, 2, 0, null));
        ExecutionRig.awaitCalls(server, 1);

        rig.pass(Duration.ofSeconds(5));

        assertThat(run.failure().code()).isEqualTo(JobFailure.Code.TIMEOUT);
        assertThat(run.sink.names()).containsExactly("started 2", "failed 2");
    }

    @Test
    void an_expired_job_counts_as_a_missed_deadline() {
        SimpleMeterRegistry registry = new SimpleMeterRegistry();
        RunMeters meters = new RunMeters(registry);
        PromptJob job = new ExecutionRig(VLLM).job().model("llama");

        meters.ended(job, new JobEvent.Cancelled(null, Map.of()), null);
        assertThat(registry.counter("penstock.deadline.missed").count()).isZero();
        meters.ended(job, new JobEvent.Expired(null, Map.of()), null);

        assertThat(registry.counter("penstock.deadline.missed").count()).isEqualTo(1);
    }

    @Test
    void a_job_past_its_deadline_expires_waiting_and_running() {
        ExecutionRig rig = new ExecutionRig(VLLM);
        ExecutionRig.Run waits =
                rig.start(rig.job().deadlineIn(Duration.ofSeconds(3)).model("llama"));
        rig.awaitWaiting(1);
        rig.pass(Duration.ofSeconds(3));
        assertThat(waits.outcome().event()).isEqualTo(new JobEvent.Expired(null, Map.of("team", "a")));
        assertThat(waits.sink.names()).containsExactly("expired 0");

        FakeNodes.Server server = rig.nodes.server("gpu-a").up("llama");
        ExecutionRig.Run runs =
                rig.start(rig.job().deadlineIn(Duration.ofSeconds(3)).model("llama"));
        ExecutionRig.awaitCalls(server, 1);
        rig.pass(Duration.ofSeconds(3));
        assertThat(runs.outcome().event()).isInstanceOf(JobEvent.Expired.class);
        assertThat(runs.sink.names()).containsExactly("started 1", "expired 1");
    }

    private static final Map<String, String> REFUSE_EARLY = Map.of("deadlines.refuse-early", "true");

    /** An answer of 11 tokens: the first after a second, the others in 10 s. */
    private static void measure(ExecutionRig rig, FakeNodes.Server server) {
        ExecutionRig.Run run = rig.start("llama");
        FakeNodes.Call call = ExecutionRig.awaitCalls(server, 1).getFirst();
        rig.pass(Duration.ofSeconds(1));
        call.say(text("a"));
        Conditions.await(
                () -> rig.nodes.find("gpu-a").orElseThrow().requests().speed().prefill() > 0, () -> "no first token");
        rig.pass(Duration.ofSeconds(10));
        call.say(new TokenEvent.Spent(new Usage(1, 11))).answer("b");
        assertThat(run.outcome().event()).isInstanceOf(JobEvent.Completed.class);
    }

    @Test
    void a_waiting_job_ends_as_soon_as_it_cannot_meet_its_deadline_any_more() {
        ExecutionRig rig = new ExecutionRig(VLLM, REFUSE_EARLY);
        FakeNodes.Server server = rig.nodes.server("gpu-a").up("llama");
        measure(rig, server);
        RequestsInFlight.Speed speed =
                rig.nodes.find("gpu-a").orElseThrow().requests().speed();
        assertThat(speed.isMeasured()).isTrue();
        rig.nodes.paused(
                new Pauses.Pause(Pauses.Kind.NODE, "gpu-a", rig.time.clock().instant()));
        ExecutionRig.Run run =
                rig.start(rig.job().deadlineIn(Duration.ofSeconds(60)).model("llama"));
        rig.awaitWaiting(1);

        rig.pass(Duration.ofSeconds(48));
        assertThat(run.sink.names()).as("it can still make it").isEmpty();
        rig.pass(Duration.ofSeconds(2));

        assertThat(run.outcome().event())
                .isInstanceOfSatisfying(
                        JobEvent.Expired.class,
                        expired -> assertThat(String.valueOf(expired.early()))
                                .contains("cannot meet its deadline any more"));
        assertThat(run.sink.names()).containsExactly("expired 0");
    }

    @Test
    void a_job_that_could_never_meet_its_deadline_gets_no_node() {
        ExecutionRig rig = new ExecutionRig(VLLM, REFUSE_EARLY);
        FakeNodes.Server server = rig.nodes.server("gpu-a").up("llama");
        measure(rig, server);

        ExecutionRig.Run run =
                rig.start(rig.job().deadlineIn(Duration.ofSeconds(5)).model("llama"));

        assertThat(run.outcome().event()).isInstanceOf(JobEvent.Expired.class);
        assertThat(server.calls()).hasSize(1);
    }

    @Test
    void without_the_setting_or_a_measured_rate_a_job_waits_to_its_deadline() {
        for (Map<String, String> keys : List.of(REFUSE_EARLY, Map.<String, String>of())) {
            ExecutionRig rig = new ExecutionRig(VLLM, keys);
            FakeNodes.Server server = rig.nodes.server("gpu-a").up("llama");
            if (keys.isEmpty()) {
                measure(rig, server);
            }
            rig.nodes.paused(
                    new Pauses.Pause(Pauses.Kind.NODE, "gpu-a", rig.time.clock().instant()));
            ExecutionRig.Run run =
                    rig.start(rig.job().deadlineIn(Duration.ofSeconds(8)).model("llama"));
            rig.awaitWaiting(1);

            rig.pass(Duration.ofMillis(7_900));
            assertThat(run.sink.names()).isEmpty();
            rig.passUntil(run::isOver, () -> "it goes on");

            assertThat(run.outcome().event()).isEqualTo(new JobEvent.Expired(null, Map.of("team", "a")));
        }
    }

    @Test
    void a_job_that_is_cancelled_while_it_waits_has_no_attempt() {
        ExecutionRig rig = new ExecutionRig(VLLM);
        ExecutionRig.Run run = rig.start("llama");
        rig.awaitWaiting(1);

        run.signal.stop(StopSignal.Reason.CANCELLED);

        assertThat(run.outcome()).isEqualTo(Outcome.withoutAttempt(new JobEvent.Cancelled(null, Map.of("team", "a"))));
        assertThat(run.sink.names()).containsExactly("cancelled 0");
        rig.awaitWaiting(0);
    }

    @Test
    void a_job_that_is_cancelled_in_mid_stream_keeps_the_chunks_that_are_out() {
        ExecutionRig rig = new ExecutionRig(VLLM);
        FakeNodes.Server server = rig.nodes.server("gpu-a").up("llama");
        ExecutionRig.Run run = rig.start("llama");
        FakeNodes.Call call = ExecutionRig.awaitCalls(server, 1).getFirst();
        call.say(text("Hel"));
        Conditions.await(() -> run.sink.names().size() == 2, () -> "no chunk");
        call.say(text("lo"));

        run.signal.stop(StopSignal.Reason.CANCELLED);

        JobEvent.Cancelled cancelled = (JobEvent.Cancelled) run.outcome().event();
        assertThat(Objects.requireNonNull(cancelled.execution()).attempts()).isEqualTo(1);
        assertThat(run.outcome().node()).isEqualTo(rig.node("gpu-a"));
        assertThat(run.sink.names()).containsExactly("started 1", "chunk 1", "cancelled 1");
        assertThat(call.isOpen()).isFalse();
        assertThat(rig.count("penstock.attempts", "node", "gpu-a", "outcome", "stopped"))
                .isEqualTo(1);
    }

    @ParameterizedTest
    @EnumSource(names = {"LOCK_LOST", "SHUTDOWN"})
    void a_run_that_stops_publishes_nothing_more(StopSignal.Reason reason) {
        ExecutionRig rig = new ExecutionRig(VLLM);
        ExecutionRig.Run waits = rig.start("llama");
        rig.awaitWaiting(1);
        waits.signal.stop(reason);
        assertThat(waits.result()).isEqualTo(new Execution.Result.Released());
        assertThat(waits.sink.names()).isEmpty();

        FakeNodes.Server server = rig.nodes.server("gpu-a").up("llama");
        ExecutionRig.Run runs = rig.start("llama");
        FakeNodes.Call call = ExecutionRig.awaitCalls(server, 1).getFirst();
        call.say(text("Hel"));
        Conditions.await(() -> runs.sink.names().size() == 2, () -> "no chunk");
        runs.signal.stop(reason);
        assertThat(runs.result()).isEqualTo(new Execution.Result.Released());
        assertThat(runs.sink.names()).containsExactly("started 1", "chunk 1");
        assertThat(runs.execution.firstAttempt()).isEqualTo(1);
        assertThat(call.isOpen()).isFalse();
        rig.assertNothingHeld();
    }

    @Test
    void a_run_that_does_not_own_its_job_any_more_makes_no_further_attempt() {
        ExecutionRig rig = new ExecutionRig(VLLM);
        FakeNodes.Server server = rig.nodes.server("gpu-a").up("llama");
        ExecutionRig.Run run = rig.start("llama");
        FakeNodes.Call call = ExecutionRig.awaitCalls(server, 1).getFirst();

        run.owned = false;
        call.fail(BROKEN);

        assertThat(run.result()).isEqualTo(new Execution.Result.Released());
        assertThat(run.sink.names()).containsExactly("started 1");
    }

    @Test
    void a_job_whose_nodes_are_down_makes_room_and_reports_its_time_left() {
        ExecutionRig rig = new ExecutionRig(VLLM, VLLM_B);
        rig.nodes.server("gpu-a").up("llama").down();
        rig.nodes.server("gpu-b").up("other");
        ExecutionRig.Run run =
                rig.start(rig.job().deadlineIn(Duration.ofMinutes(1)).model("llama"));
        rig.awaitWaiting(1);

        rig.pass(Duration.ofSeconds(5));

        assertThat(run.result())
                .isEqualTo(new Execution.Result.Deferred(Admission.Cause.NODES_DOWN, Duration.ofSeconds(55)));
        assertThat(run.sink.names()).isEmpty();
    }

    @Test
    void a_job_without_time_left_ends_at_once() {
        ExecutionRig rig = new ExecutionRig(VLLM);
        rig.nodes.server("gpu-a").up("llama");
        PromptJob job = rig.job().deadlineIn(Duration.ofSeconds(1)).model("llama");
        rig.pass(Duration.ofSeconds(2));

        ExecutionRig.Run run = rig.start(job);

        assertThat(run.outcome().event()).isInstanceOf(JobEvent.Expired.class);
        assertThat(run.sink.names()).containsExactly("expired 0");
    }
}
