package dev.penstock.execution;

import static dev.penstock.execution.ExecutionRig.VLLM;
import static dev.penstock.execution.ExecutionRig.text;
import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.Answer;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.Task;
import dev.penstock.job.TokenEvent;
import dev.penstock.job.Usage;
import dev.penstock.node.FakeNodes;
import dev.penstock.settings.Rule;
import dev.penstock.settings.read.TestSettings;
import dev.penstock.testkit.Conditions;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The attempts of one job: which events they publish, and what the outcome reports. */
@Timeout(60)
class ExecutionTest {
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
        Conditions.await(() -> run.sink.names().size() == 2, () -> "no chunk");
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
                        Map.of("team", "a"),
                        null));
        JobEvent.Completed completed = (JobEvent.Completed) outcome.event();
        assertThat(completed.answer().choices().getFirst().text())
                .containsExactly(Map.entry(TokenEvent.Field.CONTENT, "Hello you"));
        assertThat(completed.answer().head()).isEqualTo(new Answer.Head("chatcmpl-job-1", 0, "llama", Task.CHAT));
        assertThat(completed.execution())
                .isEqualTo(new JobEvent.Execution(
                        "gpu-a", "vllm", "llama", 40, 30L, 90, 1, List.of(), List.of(), null, 0));
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
    void a_ranking_is_in_no_chunk() {
        Answer.Score first = new Answer.Score(1, 0.9, "b");
        Answer.Score second = new Answer.Score(0, 0.1, "a");
        ExecutionRig rig = new ExecutionRig(VLLM);
        rig.nodes.server("gpu-a").up("bge").onCall(call -> {
            call.say(new TokenEvent.Scored(first));
            call.say(new TokenEvent.Scored(second));
            call.say(new TokenEvent.Spent(new Usage(7, 0)));
            call.say(new TokenEvent.End());
        });

        ExecutionRig.Run run = rig.start(rig.job().task(Task.RERANK).model("bge"));
        Answer answer = Objects.requireNonNull(run.outcome().answer());

        assertThat(run.sink.names()).containsExactly("started 1", "completed 1");
        assertThat(answer.scores()).containsExactly(first, second);
        assertThat(answer.choices()).isEmpty();
        assertThat(answer.usage()).isEqualTo(new Usage(7, 0));
    }

    @Test
    void a_profile_does_not_run_where_another_model_is() {
        ExecutionRig rig = new ExecutionRig(
                TestSettings.node("gpu-a", "llama-server", 4),
                TestSettings.node("cpu-a", "llama-server", 4),
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

        ExecutionRig.Run run = rig.start(new Work(
                rig.job().node("gpu-z").model("llama"), Rule.NONE, ExecutionRig.RECORD, Instant.EPOCH, 4, 5, 0, null));

        assertThat(run.failure().code()).isEqualTo(JobFailure.Code.NO_NODE);
        assertThat(run.sink.names()).containsExactly("failed 5");
        assertThat(run.execution.lastAttempt()).isEqualTo(4);
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
}
