package dev.penstock.execution;

import static dev.penstock.execution.ExecutionRig.BROKEN;
import static dev.penstock.execution.ExecutionRig.RECORD;
import static dev.penstock.execution.ExecutionRig.text;
import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.PromptJob;
import dev.penstock.job.PublishedText;
import dev.penstock.job.Task;
import dev.penstock.job.TokenEvent;
import dev.penstock.job.Usage;
import dev.penstock.node.FakeNodes;
import dev.penstock.settings.Rule;
import dev.penstock.settings.read.TestSettings;
import dev.penstock.wire.document.ResultDocument;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Queue;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Jobs whose answer must fit a schema. */
@Timeout(120)
class CheckedResultTest {
    private static final String SCHEMA =
            "{\"type\":\"object\",\"required\":[\"a\"],\"properties\":{\"a\":{\"type\":\"integer\"}}}";
    private static final String FITS = "{\"a\":1}";
    private static final String MISFIT = "{\"b\":1}";
    private static final Map<String, Object> FORMAT = Map.of(
            "type",
            "json_schema",
            "json_schema",
            Map.of("name", "a", "schema", Map.of("type", "object", "required", List.of("a"))));

    private final ExecutionRig rig = new ExecutionRig(ExecutionRig.VLLM);
    private final FakeNodes.Server server = rig.nodes.server("gpu-a").up("llama");

    private static PromptJob.ResultRule rule(int repairs) {
        return new PromptJob.ResultRule(SCHEMA, repairs, false);
    }

    private PromptJob job(int repairs) {
        return rig.job().result(rule(repairs)).model("llama");
    }

    /** The server gives these answers, one after the other. */
    private void answers(FakeNodes.Server from, String... texts) {
        Queue<String> left = new ArrayDeque<>(List.of(texts));
        from.onCall(call -> call.answer(left.remove()));
    }

    private static List<Object> messages(FakeNodes.Call call) {
        return List.copyOf((List<?>) call.prompt().asked().getOrDefault("messages", List.of()));
    }

    private double misfits() {
        return rig.count("penstock.result.invalid");
    }

    @Test
    void an_answer_that_fits_completes_the_job() {
        answers(server, FITS);

        ExecutionRig.Run run = rig.start(job(2));

        assertThat(run.outcome().event()).isInstanceOf(JobEvent.Completed.class);
        assertThat(run.sink.names()).containsExactly("started 1", "chunk 1", "completed 1");
        assertThat(misfits()).isZero();
    }

    @Test
    void without_repairs_an_answer_that_does_not_fit_fails_the_job() {
        answers(server, MISFIT);

        ExecutionRig.Run run = rig.start(job(0));
        JobFailure failure = run.failure();

        assertThat(run.sink.names()).containsExactly("started 1", "chunk 1", "failed 1");
        assertThat(failure.code()).isEqualTo(JobFailure.Code.INVALID_RESULT);
        assertThat(failure.node()).isEqualTo("gpu-a");
        assertThat(failure.retryable()).isFalse();
        assertThat(failure.message()).isEqualTo("the answer does not fit the schema: required property 'a' not found");
        assertThat(failure.misfit())
                .isEqualTo(new JobFailure.Misfit(
                        MISFIT, List.of(new JobFailure.Misfit.Violation("", "required property 'a' not found"))));
        assertThat(misfits()).isOne();
        assertThat(rig.count("penstock.attempts", "node", "gpu-a", "outcome", "invalid_result"))
                .isOne();
        rig.assertNothingHeld();
    }

    @Test
    void the_model_is_asked_again_with_the_answer_and_its_violations() {
        answers(server, MISFIT, "{\"a\":\"1\"}", FITS);

        ExecutionRig.Run run = rig.start(job(2));
        JobEvent.Completed completed = (JobEvent.Completed) run.outcome().event();

        assertThat(run.sink.names())
                .containsExactly("started 1", "chunk 1", "started 2", "chunk 2", "started 3", "chunk 3", "completed 3");
        assertThat(completed.answer().choices().getFirst().text()).containsEntry(TokenEvent.Field.CONTENT, FITS);
        assertThat(completed.execution().attempts()).isEqualTo(3);
        assertThat(messages(server.calls().get(0))).hasSize(1);
        assertThat(messages(server.calls().get(1))).hasSize(3).contains(Map.of("role", "assistant", "content", MISFIT));
        assertThat(messages(server.calls().get(2)).getLast())
                .asString()
                .contains("- /a: string found, integer expected");
        assertThat(misfits()).isEqualTo(2);
        assertThat(run.execution.failures()).isZero();
        assertThat(rig.count("penstock.failovers", "kind", "restart")).isZero();
        rig.assertNothingHeld();
    }

    @Test
    void after_the_last_repair_the_job_fails_with_the_last_answer() {
        answers(server, MISFIT, "no JSON");

        ExecutionRig.Run run = rig.start(job(1));
        JobFailure.Misfit misfit = Objects.requireNonNull(run.failure().misfit());

        assertThat(run.sink.names()).containsExactly("started 1", "chunk 1", "started 2", "chunk 2", "failed 2");
        assertThat(misfit.text()).isEqualTo("no JSON");
        assertThat(misfit.violations())
                .singleElement()
                .satisfies(one -> assertThat(one.message()).startsWith("not valid JSON"));
    }

    @Test
    void an_answer_that_was_cut_off_says_so() {
        server.onCall(call -> call.say(text("{\"a\":"))
                .say(new TokenEvent.Finish(0, "length"))
                .say(new TokenEvent.End()));

        assertThat(rig.start(job(0)).failure().message()).endsWith("It was cut off at its limit of tokens");
    }

    /** Whether an answer fits is no failure of a node, and what the nodes did is counted whole. */
    @Test
    void a_repair_is_not_a_failed_attempt_and_its_usage_counts() {
        Queue<String> left = new ArrayDeque<>(List.of(MISFIT, FITS));
        server.onCall(call -> call.say(text(left.remove()))
                .say(new TokenEvent.Spent(new Usage(10, 5)))
                .say(new TokenEvent.Finish(0, "stop"))
                .say(new TokenEvent.End()));

        ExecutionRig.Run run = rig.start(rig.job().result(rule(1)).attempts(1).model("llama"));
        JobEvent.Completed completed = (JobEvent.Completed) run.outcome().event();

        assertThat(completed.answer().usage()).isEqualTo(new Usage(10, 5));
        assertThat(completed.execution().usageAllAttempts()).isEqualTo(new Usage(20, 10));
        assertThat(completed.execution().segments()).isEmpty();
    }

    @Test
    void a_node_that_fails_during_a_repair_is_followed_by_the_same_request() {
        Queue<String> left = new ArrayDeque<>(List.of(MISFIT, "fail", FITS));
        server.onCall(call -> {
            String next = left.remove();
            if (next.equals("fail")) {
                call.fail(BROKEN);
            } else {
                call.answer(next);
            }
        });

        ExecutionRig.Run run = rig.start(job(1));
        rig.passUntil(run::isOver, () -> run.sink.names().toString());

        assertThat(run.outcome().event()).isInstanceOf(JobEvent.Completed.class);
        assertThat(messages(server.calls().get(2)))
                .isEqualTo(messages(server.calls().get(1)));
        assertThat(run.execution.failures()).isOne();
    }

    @Test
    void a_text_is_continued_after_its_node_failed_and_never_after_a_check() {
        ExecutionRig both = new ExecutionRig(TestSettings.node("a", "vllm", 4), TestSettings.node("b", "vllm", 4));
        List<FakeNodes.Call> calls = new ArrayList<>();
        for (String node : List.of("a", "b")) {
            both.nodes.server(node).up("llama").onCall(call -> {
                synchronized (calls) {
                    calls.add(call);
                    switch (calls.size()) {
                        // no finish reason: without the check, this text could be continued
                        case 1 -> call.say(text(MISFIT)).say(new TokenEvent.End());
                        case 2 -> call.say(text("{\"a\"")).say(new TokenEvent.Broken(BROKEN));
                        default -> call.answer(":1}");
                    }
                }
            });
        }

        ExecutionRig.Run run = both.start(both.job().result(rule(1)).model("llama"));
        both.passUntil(run::isOver, () -> run.sink.names().toString());

        assertThat(run.outcome().event())
                .isInstanceOfSatisfying(
                        JobEvent.Completed.class,
                        completed -> assertThat(
                                        completed.answer().choices().getFirst().text())
                                .containsEntry(TokenEvent.Field.CONTENT, FITS));
        assertThat(calls.get(1).prompt().published()).isNull();
        assertThat(calls.get(2).prompt().published())
                .isNotNull()
                .extracting(PublishedText::text)
                .isEqualTo("{\"a\"");
        assertThat(run.sink.events().stream()
                        .filter(JobEvent.Started.class::isInstance)
                        .map(event -> ((JobEvent.Started) event).resumedFrom()))
                .containsExactly(null, null, new PublishedText.Place(2, 1));
    }

    /** The earlier run may have ended with an answer that does not fit, before it asked again. */
    @Test
    void a_recovered_job_starts_over_and_the_attempts_before_count_as_repairs() {
        answers(server, MISFIT, FITS);
        PublishedText published = new PublishedText(
                MISFIT, new PublishedText.Place(2, 1), List.of(new PublishedText.Segment("gpu-a", "llama", 2, 1, 3)));

        ExecutionRig.Run run =
                rig.start(new Work(job(1), Rule.NONE, RECORD, rig.time.clock().instant(), 2, 3, 0, published));

        assertThat(run.failure().code()).isEqualTo(JobFailure.Code.INVALID_RESULT);
        assertThat(run.sink.names()).containsExactly("started 3", "chunk 3", "failed 3");
        assertThat(((JobEvent.Started) run.sink.events().getFirst()).resumedFrom())
                .isNull();
        assertThat(server.calls())
                .singleElement()
                .satisfies(call -> assertThat(call.prompt().published()).isNull());
    }

    @Test
    void a_repair_has_the_jobs_own_time_only() {
        server.onCall(call -> call.say(text(MISFIT)));
        ExecutionRig.Run run = rig.start(
                rig.job().result(rule(2)).timeout(Duration.ofSeconds(2)).model("llama"));
        ExecutionRig.awaitCalls(server, 1);
        rig.pass(Duration.ofSeconds(1));
        server.onCall(_ -> {});
        server.calls().getFirst().say(new TokenEvent.Finish(0, "stop")).say(new TokenEvent.End());
        ExecutionRig.awaitCalls(server, 2);
        rig.pass(Duration.ofMillis(1_001));

        assertThat(run.failure().code()).isEqualTo(JobFailure.Code.TIMEOUT);
    }

    @Test
    void a_cancelled_job_asks_no_further() {
        server.onCall(call -> call.say(text("{")));
        ExecutionRig.Run run = rig.start(job(2));
        ExecutionRig.awaitCalls(server, 1);
        run.signal.stop(StopSignal.Reason.CANCELLED);

        assertThat(run.outcome().event()).isInstanceOf(JobEvent.Cancelled.class);
        assertThat(server.calls()).hasSize(1);
    }

    @Test
    void a_run_that_lost_its_job_asks_no_further() {
        server.onCall(call -> call.say(text(MISFIT)));
        ExecutionRig.Run run = rig.start(job(1));
        ExecutionRig.awaitCalls(server, 1);
        run.owned = false;
        server.calls().getFirst().say(new TokenEvent.End());

        assertThat(run.result()).isEqualTo(new Execution.Result.Released());
        assertThat(server.calls()).hasSize(1);
    }

    @Test
    void a_call_of_a_tool_is_no_result_yet() {
        server.onCall(call -> call.say(new TokenEvent.ToolCall(0, 0, "c1", "look", "{}"))
                .say(new TokenEvent.Finish(0, "tool_calls"))
                .say(new TokenEvent.End()));

        assertThat(rig.start(job(0)).outcome().event()).isInstanceOf(JobEvent.Completed.class);
    }

    @Test
    void a_prompt_of_one_text_is_repaired_too() {
        answers(server, MISFIT, FITS);

        ExecutionRig.Run run = rig.start(rig.job()
                .task(Task.COMPLETION)
                .without("messages")
                .with("prompt", "JSON:")
                .result(rule(1))
                .model("llama"));

        assertThat(run.outcome().event()).isInstanceOf(JobEvent.Completed.class);
        assertThat(String.valueOf(server.calls().get(1).prompt().asked().get("prompt")))
                .startsWith("JSON:" + MISFIT);
    }

    @Test
    void the_text_of_an_answer_that_does_not_fit_is_in_the_chunks_whole() {
        String text = "{\"b\":\"" + "x".repeat(700) + "\"}";
        server.onCall(call -> {
            for (int i = 0; i < text.length(); i += 7) {
                call.say(text(text.substring(i, Math.min(i + 7, text.length()))));
            }
            call.say(new TokenEvent.End());
        });

        ExecutionRig.Run run = rig.start(job(0));

        assertThat(run.failure().misfit()).isNotNull();
        StringBuilder chunks = new StringBuilder();
        for (JobEvent event : run.sink.events()) {
            if (event instanceof JobEvent.Chunk chunk) {
                chunk.deltas().forEach(delta -> chunks.append(((TokenEvent.Text) delta).text()));
            }
        }
        assertThat(chunks).hasToString(text);
    }

    @ParameterizedTest
    @CsvSource({
        "vllm, false, 1, completed",
        "openai-compatible, false, 2, completed",
        "openai-compatible, true, 1, failed"
    })
    void a_schema_in_response_format_is_checked_where_the_node_may_not_enforce_it(
            String backend, boolean streamed, int calls, String outcome) {
        ExecutionRig one = new ExecutionRig(TestSettings.node("a", backend, 4));
        FakeNodes.Server node = one.nodes.server("a").up("llama");
        answers(node, MISFIT, FITS);
        ExecutionRig.JobForm form = one.job().with("response_format", FORMAT);
        PromptJob asked = (streamed ? form : form.withoutChunks()).model("llama");

        ExecutionRig.Run run =
                one.start(asked.with(ResultDocument.ofResponseFormat(asked).orElseThrow()));

        assertThat(run.outcome().event().kind().wireName()).isEqualTo(outcome);
        assertThat(node.calls()).hasSize(calls);
    }

    @Test
    void a_format_without_a_schema_that_can_be_checked_has_no_rule() {
        assertThat(ResultDocument.ofResponseFormat(rig.job().model("llama"))).isEmpty();
        assertThat(ResultDocument.ofResponseFormat(rig.job()
                        .with("response_format", Map.of("type", "json_object"))
                        .model("llama")))
                .isEmpty();
        assertThat(ResultDocument.ofResponseFormat(rig.job()
                        .with(
                                "response_format",
                                Map.of(
                                        "type",
                                        "json_schema",
                                        "json_schema",
                                        Map.of("schema", Map.of("$ref", "http://example.com"))))
                        .model("llama")))
                .isEmpty();
    }
}
