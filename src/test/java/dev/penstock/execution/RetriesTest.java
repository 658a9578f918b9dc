package dev.penstock.execution;

import static dev.penstock.execution.ExecutionRig.BROKEN;
import static dev.penstock.execution.ExecutionRig.OLLAMA;
import static dev.penstock.execution.ExecutionRig.VLLM;
import static dev.penstock.execution.ExecutionRig.VLLM_B;
import static dev.penstock.execution.ExecutionRig.busy;
import static dev.penstock.execution.ExecutionRig.text;
import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.Answer;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.node.FakeNodes;
import dev.penstock.node.Node;
import dev.penstock.settings.Rule;
import dev.penstock.settings.read.TestSettings;
import dev.penstock.testkit.Conditions;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Which failures of an attempt count, when the next attempt starts, and at which node. */
@Timeout(60)
class RetriesTest {
    /** vLLM restarts under 64 streams, while an Ollama with two slots is up. */
    @Test
    void all_jobs_go_back_to_a_node_that_restarts_as_soon_as_it_is_up() {
        ExecutionRig rig = new ExecutionRig(
                VLLM, OLLAMA, Map.of("profiles.fast.vllm", "llama", "profiles.fast.ollama", "llama3:latest"));
        FakeNodes.Server vllm = rig.nodes.server("gpu-a").up("llama");
        List<ExecutionRig.Run> runs =
                Stream.generate(() -> rig.start("fast")).limit(64).toList();
        ExecutionRig.awaitCalls(vllm, 64);
        FakeNodes.Server ollama = rig.nodes.server("cpu-a").up("llama3:latest");

        vllm.kill();
        vllm.down();
        ExecutionRig.awaitCalls(ollama, 2);
        rig.awaitWaiting(62);
        vllm.onCall(call -> call.answer("Hi")).up("llama");
        rig.pass(Duration.ofMillis(100));
        ExecutionRig.awaitCalls(vllm, 64 + 62);
        ollama.calls().forEach(call -> call.answer("Hi"));

        assertThat(runs).allSatisfy(run -> assertThat(run.outcome().event()).isInstanceOf(JobEvent.Completed.class));
        assertThat(runs).allSatisfy(run -> assertThat(run.sink.nodes()).hasSize(2));
        assertThat(rig.count("penstock.failovers", "kind", "restart")).isEqualTo(2);
        rig.assertNothingHeld();
    }

    @Test
    void two_kills_close_together_leave_the_third_attempt() {
        ExecutionRig rig = new ExecutionRig(VLLM);
        FakeNodes.Server vllm = rig.nodes.server("gpu-a").up("llama");
        ExecutionRig.Run run = rig.start("llama");

        for (int kill = 1; kill <= 2; kill++) {
            rig.passUntil(
                    () -> vllm.calls().stream().filter(FakeNodes.Call::isOpen).count() == 1, () -> "no request");
            vllm.kill();
            // the job is interrupted, tries again, and is refused the connection
            rig.passUntil(() -> rig.node("gpu-a").health().state() == Node.State.DOWN, () -> "not down");
            vllm.onCall(_ -> {}).up("llama");
        }
        rig.passUntil(() -> vllm.calls().stream().anyMatch(FakeNodes.Call::isOpen), () -> "no third attempt");
        vllm.calls().getLast().answer("Hi");

        assertThat(run.outcome().event()).isInstanceOf(JobEvent.Completed.class);
        assertThat(run.sink.names()).doesNotHaveDuplicates();
        assertThat(run.execution.failures()).isEqualTo(2);
    }

    @Test
    void a_failure_that_no_other_attempt_can_help_ends_the_job_after_three() {
        ExecutionRig rig = new ExecutionRig(VLLM);
        FakeNodes.Server vllm = rig.nodes
                .server("gpu-a")
                .up("llama")
                .onCall(call -> call.fail(JobFailure.of(JobFailure.Code.NODE_ERROR, "broken")));

        ExecutionRig.Run run = rig.start("llama");
        for (int backoff : List.of(100, 200)) {
            rig.awaitWaiting(1);
            rig.pass(Duration.ofMillis(backoff - 1));
            rig.awaitWaiting(1);
            rig.pass(Duration.ofMillis(1));
        }

        assertThat(run.failure())
                .isEqualTo(JobFailure.of(JobFailure.Code.NODE_ERROR, "broken").atNode("gpu-a"));
        assertThat(run.sink.names()).containsExactly("started 1", "started 2", "started 3", "failed 3");
        assertThat(vllm.calls()).hasSize(3).noneMatch(FakeNodes.Call::isOpen);
        assertThat(run.ownerAsked).hasValue(2);
    }

    @Test
    void failures_of_earlier_runs_count() {
        ExecutionRig rig = new ExecutionRig(VLLM);
        rig.nodes.server("gpu-a").up("llama").onCall(call -> call.fail(BROKEN));

        ExecutionRig.Run run = rig.start(
                new Work(rig.job().model("llama"), Rule.NONE, ExecutionRig.RECORD, Instant.EPOCH, 5, 6, 2, null));

        assertThat(run.failure().code()).isEqualTo(JobFailure.Code.STREAM_BROKEN);
        assertThat(run.sink.names()).containsExactly("started 6", "failed 6");
        assertThat(((JobEvent.Failed) run.outcome().event()).execution())
                .extracting(JobEvent.Execution::attempts)
                .isEqualTo(6);
        assertThat(run.execution.failures()).isEqualTo(3);
    }

    /** The server takes three requests at once, and refuses all others. */
    @Test
    void a_burst_at_a_busy_server_is_waited_out() {
        ExecutionRig rig = new ExecutionRig(VLLM);
        FakeNodes.Server vllm = rig.nodes.server("gpu-a").up("llama");
        vllm.onCall(call -> {
            if (vllm.calls().stream().filter(FakeNodes.Call::isOpen).count() > 3) {
                call.fail(busy(null));
            }
        });

        List<ExecutionRig.Run> runs =
                Stream.generate(() -> rig.start("llama")).limit(15).toList();
        rig.passUntil(
                () -> {
                    vllm.calls().stream().filter(FakeNodes.Call::isOpen).forEach(call -> call.answer("Hi"));
                    return runs.stream().allMatch(ExecutionRig.Run::isOver);
                },
                () -> "they have not ended: "
                        + runs.stream().map(run -> run.sink.names()).toList());

        assertThat(runs).allSatisfy(run -> assertThat(run.outcome().event()).isInstanceOf(JobEvent.Completed.class));
        rig.assertNothingHeld();
    }

    @Test
    void a_busy_server_is_passed_over_for_a_node_that_can_take_the_job() {
        ExecutionRig rig = new ExecutionRig(VLLM, VLLM_B);
        rig.nodes.server("gpu-a").up("llama").onCall(call -> call.fail(busy(Duration.ofHours(1))));
        FakeNodes.Server other = rig.nodes.server("gpu-b").up("llama").onCall(call -> call.answer("Hi"));
        Node.Slot held = Objects.requireNonNull(rig.node("gpu-b").tryAcquire(0, false));

        ExecutionRig.Run run = rig.start("llama");
        Conditions.await(() -> run.sink.nodes().equals(List.of("gpu-a")), () -> "it did not begin");
        rig.awaitWaiting(1);
        held.close();
        JobEvent.Completed completed = (JobEvent.Completed) run.outcome().event();

        assertThat(run.sink.nodes()).containsExactly("gpu-a", "gpu-b");
        assertThat(other.calls()).hasSize(1);
        assertThat(completed.execution().attempts()).isEqualTo(2);
        assertThat(run.execution.failures()).isZero();
    }

    @Test
    void a_second_try_does_not_come_before_the_server_wants_it() {
        ExecutionRig rig = new ExecutionRig(VLLM);
        FakeNodes.Server server =
                rig.nodes.server("gpu-a").up("llama").onCall(call -> call.fail(busy(Duration.ofMillis(120))));

        ExecutionRig.Run run = rig.start("llama");
        rig.awaitWaiting(1);
        server.onCall(call -> call.answer("Hi"));
        rig.pass(Duration.ofMillis(119));
        rig.awaitWaiting(1);
        rig.pass(Duration.ofMillis(1));

        assertThat(run.outcome().event()).isInstanceOf(JobEvent.Completed.class);
        assertThat(run.sink.nodes()).containsExactly("gpu-a", "gpu-a");
    }

    @Test
    void a_server_that_wants_more_time_than_the_job_has_fails_it_at_once() {
        ExecutionRig rig = new ExecutionRig(VLLM);
        rig.nodes.server("gpu-a").up("llama").onCall(call -> call.fail(busy(Duration.ofHours(2))));

        ExecutionRig.Run run = rig.start("llama");

        assertThat(run.failure().code()).isEqualTo(JobFailure.Code.NODE_OVERLOADED);
        assertThat(run.failure().message()).endsWith(". It asks to wait PT2H, and the job has PT10M left");
        assertThat(run.sink.names()).containsExactly("started 1", "failed 1");
    }

    @Test
    void a_server_that_loads_is_waited_for_uncounted() {
        ExecutionRig rig = new ExecutionRig(TestSettings.node("cpu-a", "llama-server", 2));
        FakeNodes.Server server = rig.nodes.server("cpu-a").up("tiny");
        JobFailure loading =
                JobFailure.of(JobFailure.Code.NODE_OVERLOADED, "Loading model").with(new JobFailure.Again(null, true));
        server.onCall(call -> call.fail(loading));

        ExecutionRig.Run run = rig.start("tiny");
        for (int tries = 1; tries <= 5; tries++) {
            int so = tries;
            rig.passUntil(
                    () -> server.calls().size() >= so
                            && rig.node("cpu-a").health().state() == Node.State.LOADING,
                    () -> "try " + so);
            rig.nodes.probe("cpu-a");
        }
        server.onCall(call -> call.answer("Hi"));
        rig.nodes.probe("cpu-a");
        rig.passUntil(run::isOver, () -> "it still waits");

        assertThat(run.outcome().event()).isInstanceOf(JobEvent.Completed.class);
        assertThat(run.execution.failures()).isZero();
    }

    @Test
    void a_node_that_lacks_the_model_after_all_is_not_asked_again() {
        ExecutionRig rig = new ExecutionRig(VLLM, VLLM_B);
        FakeNodes.Server lacks = rig.nodes
                .server("gpu-a")
                .up("llama")
                .onCall(call -> call.fail(JobFailure.of(JobFailure.Code.MODEL_NOT_FOUND, "no such model")));
        FakeNodes.Server has = rig.nodes.server("gpu-b").up("llama").onCall(call -> call.answer("Hi"));

        ExecutionRig.Run run = rig.start("llama");

        assertThat(run.outcome().event()).isInstanceOf(JobEvent.Completed.class);
        assertThat(lacks.calls()).hasSize(1);
        assertThat(has.calls()).hasSize(1);
    }

    @Test
    void a_job_whose_nodes_all_lack_the_model_fails_without_an_attempt() {
        ExecutionRig rig = new ExecutionRig(VLLM);
        JobFailure failure = JobFailure.of(JobFailure.Code.MODEL_NOT_FOUND, "no such model");
        rig.nodes.server("gpu-a").up("llama").onCall(call -> call.fail(failure));

        ExecutionRig.Run run = rig.start("llama");

        assertThat(run.outcome())
                .isEqualTo(Outcome.withoutAttempt(
                        new JobEvent.Failed(failure.atNode("gpu-a"), null, Map.of("team", "a"))));
        assertThat(run.sink.names()).containsExactly("started 1", "failed 2");
        assertThat(run.ownerAsked).hasValue(0);
    }

    @Test
    void an_attempt_that_starts_over_has_nothing_of_the_text_before() {
        ExecutionRig rig = new ExecutionRig(VLLM, Map.of("continue", "never"));
        FakeNodes.Server server = rig.nodes.server("gpu-a").up("llama");
        ExecutionRig.Run run = rig.start("llama");
        FakeNodes.Call first = ExecutionRig.awaitCalls(server, 1).getFirst();
        first.say(text("Hel"));
        first.fail(BROKEN);
        rig.awaitWaiting(1);
        server.onCall(call -> call.answer("Hello"));
        rig.pass(Duration.ofMillis(100));

        Answer answer = Objects.requireNonNull(run.outcome().answer());

        assertThat(answer.choices().getFirst().text()).containsValue("Hello").doesNotContainValue("HelHello");
        assertThat(run.sink.names().getLast()).isEqualTo("completed 2");
        assertThat(rig.count("penstock.failovers", "kind", "restart"))
                .as("the same node")
                .isZero();
        assertThat(rig.count("penstock.streams.interrupted", "backend", "vllm")).isEqualTo(1);
    }
}
