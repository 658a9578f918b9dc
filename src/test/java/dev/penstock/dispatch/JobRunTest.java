package dev.penstock.dispatch;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.JobFailure;
import dev.penstock.job.TokenEvent;
import dev.penstock.node.FakeNodes;
import dev.penstock.node.Node;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** One job's attempts: where they go, what they count, what its events say. */
@Timeout(60)
class JobRunTest {
    private static final Map<String, String> VLLM = RunRig.node("gpu-a", "vllm", 64);
    private static final Map<String, String> OLLAMA = RunRig.node("cpu-a", "ollama", 2);

    private static JobFailure busy(@Nullable Duration after) {
        return JobFailure.of(JobFailure.Code.NODE_OVERLOADED, "The engine is currently busy")
                .with(new JobFailure.Again(after, false));
    }

    private static void onceUp(RunRig rig, String node) {
        rig.nodes.probe(node);
    }

    @Test
    void every_event_names_the_model_that_the_server_says_it_ran() {
        RunRig rig = new RunRig(VLLM);
        rig.nodes.server("gpu-a").up("llama").onCall(call -> {
            call.say(new TokenEvent.Model("llama-2026-01-01"));
            call.answer("Hi");
        });

        RunRig.Run run = rig.start(rig.job("llama"));
        run.join();

        assertThat(run.names()).containsExactly("started 1", "chunk 1", "completed 1");
        assertThat(run.events().get(0).at("/job/model").asText())
                .as("before the request")
                .isEqualTo("llama");
        assertThat(run.events().get(1).at("/model").asText()).isEqualTo("llama-2026-01-01");
        assertThat(run.last().at("/model").asText()).isEqualTo("llama-2026-01-01");
        assertThat(run.last().at("/job/model").asText()).isEqualTo("llama-2026-01-01");
        assertThat(run.delivery.acknowledged).isTrue();
    }

    @Test
    void a_profile_does_not_run_where_another_model_is() {
        RunRig rig = new RunRig(RunRig.keys(
                RunRig.node("gpu-a", "llama-server", 4),
                RunRig.node("cpu-a", "llama-server", 4),
                Map.of("profiles.fast.llama-server", "tiny")));
        rig.nodes.server("cpu-a").up("slow").onCall(call -> call.answer("wrong"));
        RunRig.Run run = rig.start(rig.job("fast"));
        RunRig.await(() -> rig.scheduler.waitingFor("cpu-a") == 0 && run.thread.isAlive(), () -> "it ran");
        assertThat(run.events()).isEmpty();

        rig.nodes.server("gpu-a").onCall(call -> call.answer("right")).up("tiny");
        run.join();

        assertThat(run.attempts()).containsExactly("gpu-a");
        assertThat(rig.nodes.server("cpu-a").calls()).isEmpty();
    }

    /** vLLM restarts under 64 streams, while an Ollama with two slots is up. */
    @Test
    void all_jobs_go_back_to_a_node_that_restarts_as_soon_as_it_is_up() {
        RunRig rig = new RunRig(RunRig.keys(
                VLLM, OLLAMA, Map.of("profiles.fast.vllm", "llama", "profiles.fast.ollama", "llama3:latest")));
        FakeNodes.Server vllm = rig.nodes.server("gpu-a").up("llama");
        List<RunRig.Run> runs =
                Stream.generate(() -> rig.start(rig.job("fast"))).limit(64).toList();
        RunRig.await(
                () -> vllm.calls().size() == 64, () -> "only " + vllm.calls().size());
        FakeNodes.Server ollama = rig.nodes.server("cpu-a").up("llama3:latest");

        vllm.kill();
        vllm.down();
        RunRig.await(() -> ollama.calls().size() == 2, () -> "nothing goes to the other node");
        RunRig.await(() -> rig.scheduler.waitingFor("gpu-a") == 62, () -> "not all wait");
        vllm.onCall(call -> call.answer("Hi")).up("llama");
        RunRig.await(
                () -> vllm.calls().size() == 64 + 62,
                () -> "only " + vllm.calls().size() + " came back");
        ollama.calls().forEach(call -> call.answer("Hi"));
        runs.forEach(RunRig.Run::join);

        assertThat(runs).allSatisfy(run -> assertThat(run.outcome()).isEqualTo("completed"));
        assertThat(runs).allSatisfy(run -> assertThat(run.attempts()).hasSize(2));
        assertNothingHeld(rig, "gpu-a", "cpu-a");
    }

    @Test
    void two_kills_close_together_leave_the_third_attempt() {
        RunRig rig = new RunRig(VLLM);
        FakeNodes.Server vllm = rig.nodes.server("gpu-a").up("llama");
        RunRig.Run run = rig.start(rig.job("llama"));

        for (int kill = 1; kill <= 2; kill++) {
            int so = kill;
            RunRig.await(
                    () -> vllm.calls().stream().filter(FakeNodes.Call::isOpen).count() == 1, () -> "" + so);
            vllm.kill();
            // it was interrupted, asked again, and refused the connection
            RunRig.await(
                    () -> rig.nodes.find("gpu-a").orElseThrow().health().state() == Node.State.DOWN, () -> "not down");
            vllm.onCall(_ -> {}).up("llama");
        }
        RunRig.await(() -> vllm.calls().stream().anyMatch(FakeNodes.Call::isOpen), () -> "no third attempt");
        vllm.calls().getLast().answer("Hi");
        run.join();

        assertThat(run.outcome()).isEqualTo("completed");
        assertThat(run.names()).doesNotHaveDuplicates();
    }

    @Test
    void a_refusal_that_no_other_attempt_can_help_ends_the_job_after_three() {
        RunRig rig = new RunRig(VLLM);
        FakeNodes.Server vllm = rig.nodes
                .server("gpu-a")
                .up("llama")
                .onCall(call -> call.fail(JobFailure.of(JobFailure.Code.NODE_ERROR, "broken")));

        RunRig.Run run = rig.start(rig.job("llama"));
        run.join();

        assertThat(run.outcome()).isEqualTo("failed");
        assertThat(vllm.calls()).hasSize(3);
    }

    /** vLLM --max-num-queued-reqs 3: whatever is more than that is refused. */
    @Test
    void a_burst_at_a_busy_server_is_waited_out() {
        RunRig rig = new RunRig(VLLM);
        FakeNodes.Server vllm = rig.nodes.server("gpu-a").up("llama");
        vllm.onCall(call -> {
            if (vllm.calls().stream().filter(FakeNodes.Call::isOpen).count() > 3) {
                call.fail(busy(null));
            }
        });

        List<RunRig.Run> runs =
                Stream.generate(() -> rig.start(rig.job("llama"))).limit(15).toList();
        RunRig.await(
                () -> {
                    vllm.calls().stream().filter(FakeNodes.Call::isOpen).forEach(call -> call.answer("Hi"));
                    return runs.stream().noneMatch(run -> run.thread.isAlive());
                },
                () -> "they have not ended: "
                        + runs.stream().map(RunRig.Run::names).toList());

        assertThat(runs).allSatisfy(run -> assertThat(run.outcome()).isEqualTo("completed"));
        assertNothingHeld(rig, "gpu-a");
    }

    @Test
    void a_busy_server_is_passed_over_where_another_can_take_the_job() {
        RunRig rig = new RunRig(RunRig.keys(VLLM, RunRig.node("gpu-b", "vllm", 1)));
        rig.nodes.server("gpu-a").up("llama").onCall(call -> call.fail(busy(Duration.ofHours(1))));
        FakeNodes.Server other = rig.nodes.server("gpu-b").up("llama").onCall(call -> call.answer("Hi"));
        Node.Slot held =
                Objects.requireNonNull(rig.nodes.find("gpu-b").orElseThrow().tryAcquire());

        RunRig.Run run = rig.start(rig.job("llama"));
        RunRig.await(() -> run.attempts().equals(List.of("gpu-a")), () -> "it did not begin");
        held.close();
        run.join();

        assertThat(run.attempts()).containsExactly("gpu-a", "gpu-b");
        assertThat(other.calls()).hasSize(1);
        assertThat(run.last().at("/job/attempts").asInt()).isEqualTo(2);
    }

    @Test
    void a_second_try_does_not_come_before_the_server_wants_it() {
        RunRig rig = new RunRig(VLLM);
        List<Instant> asked = new ArrayList<>();
        rig.nodes.server("gpu-a").up("llama").onCall(call -> {
            asked.add(rig.clock.instant());
            if (asked.size() == 1) {
                call.fail(busy(Duration.ofMillis(700)));
            } else {
                call.answer("Hi");
            }
        });

        RunRig.Run run = rig.start(rig.job("llama"));
        run.join();

        assertThat(run.outcome()).isEqualTo("completed");
        assertThat(Duration.between(asked.get(0), asked.get(1))).isGreaterThanOrEqualTo(Duration.ofMillis(700));
    }

    @Test
    void a_server_that_wants_more_time_than_the_job_has_fails_it_at_once() {
        RunRig rig = new RunRig(VLLM);
        rig.nodes.server("gpu-a").up("llama").onCall(call -> call.fail(busy(Duration.ofHours(2))));

        RunRig.Run run = rig.start(rig.job("llama"));
        run.join();

        assertThat(run.names()).containsExactly("started 1", "failed 1");
        assertThat(run.last().at("/error/code").asText()).isEqualTo("node_overloaded");
        assertThat(run.last().at("/error/message").asText()).contains("asks to wait PT2H", "the job has PT");
    }

    @Test
    void a_server_that_loads_is_waited_for_uncounted() {
        RunRig rig = new RunRig(RunRig.node("cpu-a", "llama-server", 2));
        FakeNodes.Server server = rig.nodes.server("cpu-a").up("tiny");
        JobFailure loading =
                JobFailure.of(JobFailure.Code.NODE_OVERLOADED, "Loading model").with(new JobFailure.Again(null, true));
        server.onCall(call -> call.fail(loading));

        RunRig.Run run = rig.start(rig.job("tiny"));
        for (int tries = 1; tries <= 5; tries++) {
            int so = tries;
            RunRig.await(
                    () -> server.calls().size() >= so
                            && rig.nodes.find("cpu-a").orElseThrow().health().state() == Node.State.LOADING,
                    () -> "try " + so);
            onceUp(rig, "cpu-a");
        }
        server.onCall(call -> call.answer("Hi"));
        onceUp(rig, "cpu-a");
        run.join();

        assertThat(run.outcome()).isEqualTo("completed");
    }

    @Test
    void a_job_that_times_out_says_what_its_last_attempt_failed_with() {
        RunRig rig = new RunRig(VLLM);
        rig.nodes.server("gpu-a").up("llama").onCall(call -> call.fail(busy(null)));

        RunRig.Run run = rig.start(rig.job("llama", Duration.ofMillis(300), 3));
        run.join();

        assertThat(run.last().at("/error/code").asText()).isEqualTo("timeout");
        assertThat(run.last().at("/error/message").asText())
                .contains("longer than its timeout, PT0.3S", "currently busy");
    }

    @Test
    void a_node_that_lacks_the_model_after_all_is_not_asked_again() {
        RunRig rig = new RunRig(RunRig.keys(VLLM, RunRig.node("gpu-b", "vllm", 1)));
        FakeNodes.Server lacks = rig.nodes
                .server("gpu-a")
                .up("llama")
                .onCall(call -> call.fail(JobFailure.of(JobFailure.Code.MODEL_NOT_FOUND, "no such model")));
        FakeNodes.Server fails = rig.nodes.server("gpu-b").up("llama").onCall(call -> call.answer("Hi"));

        RunRig.Run run = rig.start(rig.job("llama"));
        run.join();

        assertThat(run.outcome()).isEqualTo("completed");
        assertThat(lacks.calls()).hasSize(1);
        assertThat(fails.calls()).hasSize(1);
    }

    static void assertNothingHeld(RunRig rig, String... nodes) {
        for (String node : nodes) {
            assertThat(rig.nodes.find(node).orElseThrow().inFlight()).as(node).isZero();
        }
    }
}
