package dev.penstock.execution;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.Answer;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.PromptJob;
import dev.penstock.job.Task;
import dev.penstock.job.TokenEvent;
import dev.penstock.job.Usage;
import dev.penstock.node.FakeNodes;
import dev.penstock.node.Node;
import dev.penstock.schedule.Admission;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The attempts of one job: where they go, which of them count, what its events report. */
@Timeout(60)
class ExecutionTest {
    private static final Map<String, String> VLLM = ExecutionRig.node("gpu-a", "vllm", 64);
    private static final Map<String, String> VLLM_B = ExecutionRig.node("gpu-b", "vllm", 1);
    private static final Map<String, String> OLLAMA = ExecutionRig.node("cpu-a", "ollama", 2);
    private static final JobFailure BROKEN = JobFailure.of(JobFailure.Code.STREAM_BROKEN, "closed the connection");

    private static JobFailure busy(@Nullable Duration after) {
        return JobFailure.of(JobFailure.Code.NODE_OVERLOADED, "The engine is currently busy")
                .with(new JobFailure.Again(after, false));
    }

    private static TokenEvent text(String text) {
        return new TokenEvent.Text(0, TokenEvent.Field.CONTENT, text);
    }

    @Test
    void an_outcome_has_the_answer_and_the_figures_of_its_attempt() {
        ExecutionRig rig = new ExecutionRig(VLLM);
        FakeNodes.Server server = rig.nodes.server("gpu-a");
        ExecutionRig.Run run = rig.start("llama");
        rig.pass(Duration.ofMillis(40));
        server.up("llama");
        FakeNodes.Call call = ExecutionRig.awaitCalls(server, 1).getFirst();
        rig.pass(Duration.ofMillis(30));
        call.say(text("Hello"));
        ExecutionRig.await(() -> run.sink.names().size() == 2, () -> "no chunk");
        assertThat(run.execution.isWaiting()).isFalse();
        rig.pass(Duration.ofMillis(20));
        call.say(text(" you"));
        call.say(new TokenEvent.Finish(0, "stop"));
        call.say(new TokenEvent.Spent(new Usage(3, 2, 0, 0)));
        call.say(new TokenEvent.End());

        Outcome outcome = run.outcome();

        assertThat(run.sink.names()).containsExactly("started 1", "chunk 1", "chunk 1", "completed 1");
        JobEvent.Started started = (JobEvent.Started) run.sink.events().getFirst();
        assertThat(started)
                .isEqualTo(new JobEvent.Started(
                        "gpu-a",
                        "vllm",
                        "llama",
                        Instant.EPOCH.plusMillis(40),
                        ExecutionRig.RECORD,
                        Map.of("team", "a")));
        JobEvent.Completed completed = (JobEvent.Completed) outcome.event();
        assertThat(completed.answer().choices().getFirst().text())
                .containsExactly(Map.entry(TokenEvent.Field.CONTENT, "Hello you"));
        assertThat(completed.answer().head()).isEqualTo(new Answer.Head("chatcmpl-job-1", 0, "llama", Task.CHAT));
        assertThat(completed.execution())
                .isEqualTo(new JobEvent.Execution("gpu-a", "vllm", "llama", 40, 30L, 90, 1, List.of()));
        assertThat(completed.metadata()).isEqualTo(Map.of("team", "a"));
        assertThat(outcome).isEqualTo(new Outcome(completed, started, completed.answer(), rig.node("gpu-a")));
        assertThat(run.execution.firstAttempt()).isEqualTo(1);
        assertThat(run.execution.lastAttempt()).isEqualTo(1);
        assertThat(run.execution.isWaiting()).isTrue();
        rig.assertNothingHeld();
        assertThat(rig.count("penstock.attempts", "node", "gpu-a", "outcome", "completed"))
                .isEqualTo(1);
        assertThat(rig.count("penstock.tenant.tokens", "tenant", "default", "type", "output"))
                .isEqualTo(2);
        assertThat(rig.meters.get("penstock.job.queue.seconds").timer().count()).isEqualTo(1);
        assertThat(rig.meters
                        .get("gen_ai.server.time_per_output_token")
                        .timer()
                        .totalTime(java.util.concurrent.TimeUnit.MILLISECONDS))
                .isEqualTo(20);
    }

    @Test
    void every_event_names_the_model_that_the_server_reports() {
        ExecutionRig rig = new ExecutionRig(VLLM);
        rig.nodes.server("gpu-a").up("llama").onCall(call -> {
            call.say(new TokenEvent.Model("llama-2026-01-01"));
            call.answer("Hi");
        });

        ExecutionRig.Run run = rig.start("llama");
        JobEvent.Completed completed = (JobEvent.Completed) run.outcome().event();

        assertThat(run.sink.names()).containsExactly("started 1", "chunk 1", "completed 1");
        assertThat(((JobEvent.Started) run.sink.events().get(0)).model())
                .as("before the request")
                .isEqualTo("llama");
        assertThat(((JobEvent.Chunk) run.sink.events().get(1)).head().model()).isEqualTo("llama-2026-01-01");
        assertThat(completed.answer().head().model()).isEqualTo("llama-2026-01-01");
        assertThat(completed.execution().model()).isEqualTo("llama-2026-01-01");
    }

    @Test
    void a_job_without_chunks_has_its_answer_in_the_outcome_alone() {
        ExecutionRig rig = new ExecutionRig(VLLM);
        rig.nodes.server("gpu-a").up("llama").onCall(call -> call.answer("Hi"));

        ExecutionRig.Run run = rig.start(rig.job().withoutChunks().model("llama"));

        assertThat(Objects.requireNonNull(run.outcome().answer()).chars()).isEqualTo(2);
        assertThat(run.sink.names()).containsExactly("started 1", "completed 1");
    }

    @Test
    void embeddings_are_in_no_chunk() {
        ExecutionRig rig = new ExecutionRig(VLLM);
        rig.nodes.server("gpu-a").up("bge").onCall(call -> {
            call.say(new TokenEvent.Embedding(0, List.of(1, 2)));
            call.say(new TokenEvent.End());
        });

        ExecutionRig.Run run = rig.start(rig.job().task(Task.EMBEDDINGS).model("bge"));
        Answer answer = Objects.requireNonNull(run.outcome().answer());

        assertThat(run.sink.names()).containsExactly("started 1", "completed 1");
        assertThat(answer.embeddings()).isEqualTo(List.of(List.of(1, 2)));
        assertThat(answer.head().id()).isEqualTo("cmpl-job-1");
    }

    @Test
    void a_profile_does_not_run_where_another_model_is() {
        ExecutionRig rig = new ExecutionRig(
                ExecutionRig.node("gpu-a", "llama-server", 4),
                ExecutionRig.node("cpu-a", "llama-server", 4),
                Map.of("profiles.fast.llama-server", "tiny"));
        rig.nodes.server("cpu-a").up("slow").onCall(call -> call.answer("wrong"));
        ExecutionRig.Run run = rig.start("fast");
        rig.awaitWaiting(1);
        assertThat(rig.scheduler.waitingFor("cpu-a")).isZero();

        rig.nodes.server("gpu-a").onCall(call -> call.answer("right")).up("tiny");

        assertThat(run.outcome().event()).isInstanceOf(JobEvent.Completed.class);
        assertThat(run.sink.nodes()).containsExactly("gpu-a");
        assertThat(rig.nodes.server("cpu-a").calls()).isEmpty();
    }

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

        ExecutionRig.Run run =
                rig.start(new Work(rig.job().model("llama"), ExecutionRig.RECORD, Instant.EPOCH, 5, 6, 2));

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
        Node.Slot held = Objects.requireNonNull(rig.node("gpu-b").tryAcquire());

        ExecutionRig.Run run = rig.start("llama");
        ExecutionRig.await(() -> run.sink.nodes().equals(List.of("gpu-a")), () -> "it did not begin");
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
        ExecutionRig rig = new ExecutionRig(ExecutionRig.node("cpu-a", "llama-server", 2));
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
    void a_job_that_no_node_can_serve_fails_without_an_attempt() {
        ExecutionRig rig = new ExecutionRig(VLLM);
        rig.nodes.server("gpu-a").up("llama");

        ExecutionRig.Run run = rig.start(rig.job().node("gpu-z").model("llama"));

        assertThat(run.failure().code()).isEqualTo(JobFailure.Code.NO_NODE);
        assertThat(run.sink.names()).containsExactly("failed 0");
        assertThat(run.execution.firstAttempt()).isZero();
    }

    @Test
    void a_job_that_ran_before_and_has_no_attempt_now_ends_after_its_last_one() {
        ExecutionRig rig = new ExecutionRig(VLLM);
        rig.nodes.server("gpu-a").up("llama");

        ExecutionRig.Run run = rig.start(
                new Work(rig.job().node("gpu-z").model("llama"), ExecutionRig.RECORD, Instant.EPOCH, 4, 5, 0));

        assertThat(run.failure().code()).isEqualTo(JobFailure.Code.NO_NODE);
        assertThat(run.sink.names()).containsExactly("failed 5");
        assertThat(run.execution.lastAttempt()).isEqualTo(4);
    }

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
                .isEqualTo(new JobEvent.Execution("gpu-a", "vllm", "llama", 0, null, 20_000, 1, List.of()));
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
        ExecutionRig.Run run = rig.start(new Work(job, ExecutionRig.RECORD, Instant.EPOCH, 1, 2, 0));
        ExecutionRig.awaitCalls(server, 1);

        rig.pass(Duration.ofSeconds(5));

        assertThat(run.failure().code()).isEqualTo(JobFailure.Code.TIMEOUT);
        assertThat(run.sink.names()).containsExactly("started 2", "failed 2");
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
        ExecutionRig.await(() -> run.sink.names().size() == 2, () -> "no chunk");
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
        ExecutionRig.await(() -> runs.sink.names().size() == 2, () -> "no chunk");
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
    void a_started_that_is_too_large_ends_the_job_before_its_request() {
        ExecutionRig rig = new ExecutionRig(VLLM);
        FakeNodes.Server server = rig.nodes.server("gpu-a").up("llama");
        RecordingSink sink = new RecordingSink();
        sink.takesStarted = false;

        ExecutionRig.Run run = rig.start(rig.job().model("llama"), sink);

        assertThat(run.failure())
                .isEqualTo(JobFailure.of(JobFailure.Code.TOO_LARGE, "the event 'started' is too large"));
        assertThat(run.sink.names()).containsExactly("failed 1");
        assertThat(server.calls()).isEmpty();
        rig.assertNothingHeld();
    }

    @Test
    void a_chunk_that_is_too_large_ends_the_job_and_the_request() {
        ExecutionRig rig = new ExecutionRig(VLLM);
        FakeNodes.Server server = rig.nodes.server("gpu-a").up("llama").onCall(call -> call.say(text("Hi")));
        RecordingSink sink = new RecordingSink();
        sink.takesChunks = false;

        ExecutionRig.Run run = rig.start(rig.job().model("llama"), sink);

        assertThat(run.failure())
                .isEqualTo(JobFailure.of(JobFailure.Code.TOO_LARGE, "a part of the answer cannot be cut")
                        .atNode("gpu-a"));
        assertThat(run.sink.names()).containsExactly("started 1", "failed 1");
        assertThat(server.calls()).hasSize(1).noneMatch(FakeNodes.Call::isOpen);
    }

    @Test
    void an_attempt_that_starts_over_has_nothing_of_the_text_before() {
        ExecutionRig rig = new ExecutionRig(VLLM);
        FakeNodes.Server server = rig.nodes.server("gpu-a").up("llama");
        ExecutionRig.Run run = rig.start("llama");
        FakeNodes.Call first = ExecutionRig.awaitCalls(server, 1).getFirst();
        first.say(text("Hel"));
        first.fail(BROKEN);
        rig.awaitWaiting(1);
        server.onCall(call -> call.answer("Hello"));
        rig.pass(Duration.ofMillis(100));

        Answer answer = Objects.requireNonNull(run.outcome().answer());

        assertThat(answer.choices().getFirst().text()).containsValue("Hello");
        assertThat(run.sink.names().getLast()).isEqualTo("completed 2");
        assertThat(rig.count("penstock.failovers", "kind", "restart"))
                .as("the same node")
                .isZero();
        assertThat(rig.count("penstock.streams.interrupted", "backend", "vllm")).isEqualTo(1);
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
