package dev.penstock.execution;

import static dev.penstock.execution.ExecutionRig.BROKEN;
import static dev.penstock.execution.ExecutionRig.text;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.tuple;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.PromptJob;
import dev.penstock.job.PublishedText;
import dev.penstock.job.Task;
import dev.penstock.job.TokenEvent;
import dev.penstock.job.Usage;
import dev.penstock.node.FakeNodes;
import dev.penstock.node.protocol.WireProtocol;
import dev.penstock.node.protocol.answer.AnswerParser;
import dev.penstock.settings.NodeSettings;
import dev.penstock.settings.Rule;
import dev.penstock.settings.read.TestSettings;
import dev.penstock.wire.Json;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What a job does whose node fails in mid-answer: it continues the published text, where it can. */
@Timeout(120)
class ContinuedTextTest {
    private static final int TOKENS = 200;
    private static final List<String> WORDS =
            List.of(" the", " río", ",", " 🌊", "\n", " ha", " ha", " \"so\"", " e\u0301");
    private static final List<String> SCRIPT = IntStream.range(0, TOKENS)
            .mapToObj(i -> WORDS.get(i % WORDS.size()) + (i % 7 == 0 ? i : ""))
            .toList();

    private static ExecutionRig rig(String backend, String... more) {
        // by default, no job goes to a cloud
        Map<String, String> keys = new HashMap<>(Map.of("nodes.a.pool", "gpu", "nodes.b.pool", "gpu"));
        // the breakers stay closed
        keys.putAll(Map.of("breaker.window", "64", "breaker.minimum", "64", "breaker.failure-rate", "1"));
        for (int i = 0; i < more.length; i += 2) {
            keys.put(more[i], more[i + 1]);
        }
        ExecutionRig rig =
                new ExecutionRig(TestSettings.node("a", backend, 4), TestSettings.node("b", backend, 4), keys);
        rig.nodes.server("a").up("llama");
        rig.nodes.server("b").up("llama");
        return rig;
    }

    /** Sets what both servers do: the first attempt of a job, and each attempt that continues a text. */
    private static void onCall(ExecutionRig rig, Consumer<FakeNodes.Call> first, Consumer<FakeNodes.Call> rest) {
        Consumer<FakeNodes.Call> both = call -> (call.prompt().published() == null ? first : rest).accept(call);
        rig.nodes.server("a").onCall(both);
        rig.nodes.server("b").onCall(both);
    }

    private static String chunks(ExecutionRig.Run run) {
        StringBuilder text = new StringBuilder();
        for (JobEvent event : run.sink.events()) {
            if (event instanceof JobEvent.Started started && started.resumedFrom() == null) {
                text.setLength(0);
            } else if (event instanceof JobEvent.Chunk chunk) {
                chunk.deltas().forEach(delta -> text.append(delta instanceof TokenEvent.Text one ? one.text() : ""));
            }
        }
        return text.toString();
    }

    private static JobEvent.Completed completed(ExecutionRig.Run run) {
        return (JobEvent.Completed) run.outcome().event();
    }

    private static String answer(ExecutionRig.Run run) {
        return Objects.requireNonNull(
                completed(run).answer().choices().getFirst().text().get(TokenEvent.Field.CONTENT));
    }

    private static JobEvent.Started started(ExecutionRig.Run run, int attempt) {
        return run.sink.events().stream()
                .filter(JobEvent.Started.class::isInstance)
                .map(JobEvent.Started.class::cast)
                .toList()
                .get(attempt - 1);
    }

    /* Each server's own way to send a token, and the end of an answer. */

    private static String token(String backend, String token) {
        String quoted = Json.mapper().valueToTree(token).toString();
        return switch (backend) {
            case "ollama" ->
                "{\"model\":\"llama\",\"message\":{\"role\":\"assistant\",\"content\":%s},\"done\":false}"
                        .formatted(quoted);
            case "anthropic" ->
                "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":%s}}"
                        .formatted(quoted);
            default ->
                "{\"id\":\"x\",\"model\":\"llama\",\"choices\":[{\"index\":0,\"delta\":{\"content\":%s}}]}"
                        .formatted(quoted);
        };
    }

    private static List<String> end(String backend, int prompt, int completion) {
        return switch (backend) {
            case "ollama" ->
                List.of(
                        "{\"model\":\"llama\",\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true,\"done_reason\":\"stop\",\"prompt_eval_count\":%d,\"eval_count\":%d}"
                                .formatted(prompt, completion));
            case "anthropic" ->
                List.of(
                        "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"input_tokens\":%d,\"output_tokens\":%d}}"
                                .formatted(prompt, completion),
                        "{\"type\":\"message_stop\"}");
            default ->
                List.of(
                        "{\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}",
                        "{\"choices\":[],\"usage\":{\"prompt_tokens\":%d,\"completion_tokens\":%d}}"
                                .formatted(prompt, completion),
                        "[DONE]");
        };
    }

    /**
     * @param repeats whether the server sends the given text once more before the rest, in one piece with the first
     *     token
     */
    @ParameterizedTest
    @CsvSource({
        "vllm, false",
        "llama-server, false",
        "llama-server, true",
        "ollama, false",
        "ollama, true",
        "anthropic, false"
    })
    void a_node_that_fails_after_any_token_leaves_the_whole_text(String backend, boolean repeats) throws Exception {
        ExecutionRig rig = rig(backend);
        NodeSettings settings = rig.node("a").settings();
        WireProtocol protocol = WireProtocol.of(settings);
        String whole = String.join("", SCRIPT);
        for (int k = 1; k <= TOKENS; k++) {
            int failsAfter = k;
            List<JsonNode> requests = new ArrayList<>();
            onCall(
                    rig,
                    call -> {
                        AnswerParser parser = protocol.parser(call.prompt());
                        SCRIPT.subList(0, failsAfter).forEach(token -> parser.line(token(backend, token), call::say));
                        call.fail(BROKEN);
                    },
                    call -> {
                        requests.add(body(protocol, call));
                        AnswerParser parser = protocol.parser(call.prompt());
                        List<String> rest = new ArrayList<>(SCRIPT.subList(failsAfter, TOKENS));
                        if (repeats) {
                            String first = rest.isEmpty() ? "" : rest.removeFirst();
                            rest.addFirst(String.join("", SCRIPT.subList(0, failsAfter)) + first);
                        }
                        rest.forEach(token -> parser.line(token(backend, token), call::say));
                        end(backend, 10 + failsAfter, TOKENS - failsAfter)
                                .forEach(line -> parser.line(line, call::say));
                    });

            ExecutionRig.Run run = rig.start("llama");
            String published = String.join("", SCRIPT.subList(0, k));
            boolean trailing = backend.equals("anthropic") && published.endsWith("\n");
            if (trailing) {
                // the API refuses such a text, so the job starts over, and fails in the same way
                rig.passUntil(run::isOver, () -> "it has not ended");
                assertThat(run.failure().code()).isEqualTo(JobFailure.Code.STREAM_BROKEN);
                assertThat(requests).isEmpty();
                continue;
            }

            String at = backend + " after " + k;
            assertThat(answer(run)).as(at).isEqualTo(whole);
            assertThat(chunks(run)).as(at).isEqualTo(whole);
            JsonNode last = requests.getFirst().path("messages").path(1);
            assertThat(last.path("role").asText()).isEqualTo("assistant");
            assertThat(last.path("content").asText()).as(at).isEqualTo(published);
            long chunks = run.sink.names().stream().filter("chunk 1"::equals).count();
            assertThat(started(run, 2).resumedFrom()).as(at).isEqualTo(new PublishedText.Place(1, chunks));
            assertThat(completed(run).answer().usage()).as(at).isEqualTo(new Usage(10, TOKENS));
        }
        rig.assertNothingHeld();
    }

    private static JsonNode body(WireProtocol protocol, FakeNodes.Call call) {
        try {
            return Objects.requireNonNull(Json.parseLenient(
                    protocol.request(call.prompt()).bodies().getFirst().toString()));
        } catch (WireProtocol.Unsupported e) {
            throw new IllegalStateException(e);
        }
    }

    @Test
    void an_attempt_may_continue_an_attempt_that_continued_another() {
        ExecutionRig rig = rig("vllm");
        onCall(rig, call -> call.say(text("one ")).say(text("two ")).fail(BROKEN), call -> {
            String given = Objects.requireNonNull(call.prompt().published()).text();
            if (given.equals("one two ")) {
                call.say(text("three ")).fail(BROKEN);
            } else {
                call.say(text("four"));
                call.say(new TokenEvent.Spent(new Usage(14, 1)));
                call.say(new TokenEvent.Finish(0, "stop")).say(new TokenEvent.End());
            }
        });

        ExecutionRig.Run run = rig.start("llama");

        rig.passUntil(run::isOver, () -> "it has not ended");
        assertThat(answer(run)).isEqualTo("one two three four");
        assertThat(chunks(run)).isEqualTo("one two three four");
        assertThat(run.sink.names())
                .containsExactly("started 1", "chunk 1", "started 2", "chunk 2", "started 3", "chunk 3", "completed 3");
        assertThat(started(run, 2).resumedFrom()).isEqualTo(new PublishedText.Place(1, 1));
        assertThat(started(run, 3).resumedFrom()).isEqualTo(new PublishedText.Place(2, 1));
        JobEvent.Execution execution = completed(run).execution();
        assertThat(execution.segments())
                .extracting(
                        PublishedText.Segment::attempt,
                        PublishedText.Segment::fromSeq,
                        PublishedText.Segment::completionTokens)
                .containsExactly(tuple(1, 1L, 2L), tuple(2, 1L, 1L), tuple(3, 1L, 1L));
        assertThat(completed(run).answer().usage()).isEqualTo(new Usage(11, 4));
        assertThat(execution.usageAllAttempts()).isEqualTo(new Usage(14, 4));
        assertThat(rig.count("penstock.failovers", "kind", "continued")).isEqualTo(2);
        assertThat(rig.count("penstock.failovers", "kind", "restart")).isZero();
    }

    @Test
    void a_recovered_run_continues_what_the_earlier_run_published() {
        ExecutionRig rig = rig("vllm");
        onCall(rig, call -> call.answer("wrong"), call -> call.answer(" two"));
        PublishedText published = new PublishedText(
                "one", new PublishedText.Place(3, 7), List.of(new PublishedText.Segment("z", "llama", 3, 1, 5)));

        ExecutionRig.Run run = rig.start(
                new Work(rig.job().model("llama"), Rule.NONE, ExecutionRig.RECORD, Instant.EPOCH, 3, 4, 0, published));
        assertThat(answer(run)).isEqualTo("one two");
        assertThat(started(run, 1).resumedFrom()).isEqualTo(new PublishedText.Place(3, 7));
        assertThat(run.sink.names()).containsExactly("started 4", "chunk 4", "completed 4");
        assertThat(completed(run).execution().segments()).hasSize(2);
        assertThat(completed(run).answer().usage().completionTokens()).isEqualTo(6);
    }

    /** The first attempt fails after its first token. The others have an answer to the whole job, or to the rest. */
    private static void breaksOnce(ExecutionRig rig, Consumer<FakeNodes.Call> rest) {
        AtomicBoolean broken = new AtomicBoolean();
        onCall(
                rig,
                call -> {
                    if (broken.getAndSet(true)) {
                        call.answer("all of it");
                    } else {
                        call.say(text("one ")).fail(BROKEN);
                    }
                },
                rest);
    }

    private static ExecutionRig.Run failed(ExecutionRig rig, PromptJob job, String rest) {
        breaksOnce(rig, call -> call.answer(rest));
        return rig.start(job);
    }

    @Test
    void a_rest_gets_the_tokens_that_the_published_text_leaves() {
        ExecutionRig rig = rig("vllm");
        onCall(rig, call -> call.say(text("one ")).say(text("two ")).fail(BROKEN), call -> {
            assertThat(call.prompt().asked()).containsEntry("max_tokens", 3L);
            call.answer("three");
        });
        assertThat(answer(rig.start(rig.job().with("max_tokens", 5).model("llama"))))
                .isEqualTo("one two three");
    }

    @Test
    void a_text_with_all_of_its_tokens_is_complete_without_another_request() {
        ExecutionRig rig = rig("vllm");
        ExecutionRig.Run run = failed(rig, rig.job().with("max_tokens", 1).model("llama"), "too much");
        assertThat(answer(run)).isEqualTo("one ");
        assertThat(completed(run).answer().choices().getFirst().finishReason()).isEqualTo("length");
        assertThat(rig.nodes.server("a").calls().size()
                        + rig.nodes.server("b").calls().size())
                .isEqualTo(1);
    }

    @Test
    void a_stop_string_over_the_seam_ends_the_answer() {
        ExecutionRig rig = rig("vllm");
        onCall(rig, call -> call.say(text("so it EN")).fail(BROKEN), call -> {
            call.say(text("D")).say(text("-O")).say(text("F")).say(text(" never"));
            call.say(new TokenEvent.Finish(0, "length")).say(new TokenEvent.End());
        });

        ExecutionRig.Run run =
                rig.start(rig.job().with("stop", List.of("END-OF", "x")).model("llama"));
        assertThat(answer(run)).isEqualTo("so it EN").isEqualTo(chunks(run));
        assertThat(completed(run).answer().choices().getFirst().finishReason()).isEqualTo("stop");
    }

    @Test
    void what_only_looks_like_a_stop_string_over_the_seam_is_text() {
        ExecutionRig rig = rig("vllm");
        ExecutionRig.Run run = failed(rig, rig.job().with("stop", " nix").model("llama"), "ni");

        assertThat(answer(run)).isEqualTo("one ni").isEqualTo(chunks(run));
    }

    @ParameterizedTest
    @ValueSource(strings = {"openai", "lm-studio", "openai-compatible"})
    void a_backend_that_cannot_continue_a_chat_starts_over(String backend) {
        ExecutionRig rig = rig(backend);
        ExecutionRig.Run run = failed(rig, rig.job().model("llama"), "never");

        assertThat(answer(run)).isEqualTo("all of it").isEqualTo(chunks(run));
        assertThat(started(run, 2).resumedFrom()).isNull();
        assertThat(completed(run).execution().segments()).isEmpty();
        assertThat(rig.count("penstock.failovers", "kind", "restart")).isEqualTo(1);
    }

    @ParameterizedTest
    @ValueSource(strings = {"openai-compatible", "lm-studio", "vllm", "llama-server", "ollama"})
    void every_completion_can_be_continued(String backend) {
        ExecutionRig rig = rig(backend);
        PromptJob job = rig.job().task(Task.COMPLETION).with("prompt", "Say:").model("llama");

        assertThat(answer(failed(rig, job, "more"))).isEqualTo("one more");
    }

    @Test
    void a_server_that_refuses_to_continue_gets_the_whole_job() {
        ExecutionRig rig = rig("llama-server");
        breaksOnce(
                rig,
                call -> call.fail(JobFailure.of(
                        JobFailure.Code.INVALID_REQUEST, "This model does not support assistant message prefill.")));

        ExecutionRig.Run run = rig.start(rig.job().with("max_tokens", 50).model("llama"));

        assertThat(answer(run)).isEqualTo("all of it");
        assertThat(started(run, 2).resumedFrom()).isNotNull();
        assertThat(started(run, 3).resumedFrom()).isNull();
        assertThat(run.execution.failures()).isEqualTo(1);
    }

    @ParameterizedTest
    @CsvSource({"same-model, all of it", "any, one more", "never, all of it"})
    void another_model_continues_only_where_it_may(String policy, String expected) {
        ExecutionRig rig = new ExecutionRig(
                TestSettings.node("a", "vllm", 4),
                TestSettings.node("b", "ollama", 4),
                Map.of("continue", policy, "profiles.fast.vllm", "llama", "profiles.fast.ollama", "other"));
        rig.nodes.server("a").up("llama");
        rig.nodes.server("b").up("other");

        assertThat(answer(failed(rig, rig.job().model("fast"), "more"))).isEqualTo(expected);
    }

    @Test
    void text_that_the_broker_did_not_take_is_not_continued() {
        ExecutionRig rig = rig("vllm");
        RecordingSink sink = new RecordingSink();
        sink.publishes = false;
        breaksOnce(rig, call -> call.answer("never"));

        assertThat(answer(rig.start(rig.job().model("llama"), sink))).isEqualTo("all of it");
    }

    @Test
    void a_job_whose_last_message_is_the_assistants_starts_over() {
        ExecutionRig rig = rig("vllm");
        PromptJob job = rig.job()
                .with(
                        "messages",
                        List.of(
                                Map.of("role", "user", "content", "Hi"),
                                Map.of("role", "assistant", "content", "Well, ")))
                .model("llama");

        assertThat(answer(failed(rig, job, "never"))).isEqualTo("all of it");
    }
}
