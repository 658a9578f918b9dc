package dev.penstock.node.protocol;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.tuple;

import dev.penstock.job.Answer;
import dev.penstock.job.JobFailure;
import dev.penstock.job.Task;
import dev.penstock.job.TokenEvent;
import dev.penstock.node.http.NodeErrors;
import dev.penstock.node.protocol.answer.AnswerParser;
import dev.penstock.node.protocol.answer.Cutter;
import dev.penstock.node.protocol.answer.WholeCharacters;
import dev.penstock.settings.Backend;
import dev.penstock.settings.NodeSettings;
import dev.penstock.testkit.upstream.FakeUpstream;
import dev.penstock.testkit.upstream.Flavour;
import dev.penstock.testkit.upstream.Recording;
import dev.penstock.wire.Json;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Tests the wire protocols with recorded bytes of the real servers. */
class ProtocolTest {
    private static final NodeSettings NODE = NodeSettings.at(Backend.VLLM, URI.create("http://gpu:8000"));
    private static final int WHOLE = Integer.getInteger("penstock.test.cut", 500);
    private static final NodeErrors ERRORS = new NodeErrors(NODE, WireProtocol.of(NODE));

    @ParameterizedTest
    @ValueSource(
            strings = {
                "llama-server/chat-stream-usage",
                "llama-server/think-stream",
                "llama-server/tools-required-stream",
                "vllm/chat-emoji-split-stream",
                "vllm/chat-stream-usage",
                "vllm/tool-auto-stream",
                "ollama/chat-stream",
                "ollama/think-stream",
                "ollama/tools-stream"
            })
    void a_response_cut_in_two_at_any_byte_says_the_same(String name) {
        byte[] body = Recording.of(name).body().getBytes(StandardCharsets.UTF_8);
        List<TokenEvent> whole = parse(name, body);
        assertThat(whole.getLast()).as("the end of %s", name).isInstanceOf(TokenEvent.End.class);

        for (int cut : places(body)) {
            List<TokenEvent> parts =
                    parse(name, Arrays.copyOfRange(body, 0, cut), Arrays.copyOfRange(body, cut, body.length));

            assertThat(parts).as("%s cut at %d", name, cut).isEqualTo(whole);
        }
    }

    /**
     * The places of a long body where a cut may matter: every place of its beginning and its end, and beside each line
     * end and each byte that is not ASCII. Between them its lines repeat.
     */
    private static Set<Integer> places(byte[] body) {
        Set<Integer> places = new TreeSet<>(List.of(body.length));
        for (int i = 0; i < body.length; i++) {
            boolean whole = i < WHOLE || i >= body.length - WHOLE;
            if (whole || body[i] < 0 || body[i] == '\n') {
                places.addAll(List.of(Math.max(0, i - 1), i, i + 1));
            }
        }
        return places;
    }

    @Test
    void what_a_server_says_it_runs_comes_once_and_before_its_text() throws Exception {
        String openAi = """
                data: {"choices":[],"model":""}
                data: {"choices":[{"index":0,"delta":{"content":"a"}}],"model":"gpt-4o-2024-08-06"}
                data: {"choices":[{"index":0,"delta":{"content":"b"},"finish_reason":"stop"}],"model":"gpt-4o-2024-08-06"}
                data: [DONE]
                """;
        String anthropic = """
                data: {"type":"message_start","message":{"role":"assistant","model":"claude-opus-4-20250514"}}
                data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":"a"}}
                """;
        String ollama = """
                {"model":"tiny:latest","message":{"role":"assistant","content":"a"},"done":false}
                """;
        Map.of(
                        new VllmProtocol(), Map.entry(openAi, "gpt-4o-2024-08-06"),
                        new AnthropicProtocol(), Map.entry(anthropic, "claude-opus-4-20250514"),
                        new OllamaProtocol(), Map.entry(ollama, "tiny:latest"))
                .forEach((protocol, said) -> {
                    List<TokenEvent> events = parse(protocol, 1, said.getKey().getBytes(StandardCharsets.UTF_8));
                    assertThat(events.getFirst()).isEqualTo(new TokenEvent.Model(said.getValue()));
                    assertThat(events)
                            .filteredOn(TokenEvent.Model.class::isInstance)
                            .hasSize(1);
                });
    }

    @Test
    void a_llama_servers_further_names_are_listed_too() throws Exception {
        assertThat(new LlamaServerProtocol()
                        .models(
                                Objects.requireNonNull(
                                        Json.parseLenient(
                                                "{\"data\":[{\"id\":\"tiny\",\"aliases\":[\"tiny\",\"small\"],\"meta\":{\"n_ctx\":1024}}]}")),
                                List.of()))
                .extracting(WireProtocol.Model::id, WireProtocol.Model::context)
                .containsExactly(tuple("tiny", 1024L), tuple("small", 1024L));
    }

    @Test
    void a_unicode_answer_byte_by_byte() {
        byte[] body = Recording.of("ollama/native-chat-stream").body().getBytes(StandardCharsets.UTF_8);
        byte[][] bytes = new byte[body.length][];
        for (int i = 0; i < body.length; i++) {
            bytes[i] = new byte[] {body[i]};
        }

        assertThat(parse("ollama/native-chat-stream", bytes)).isEqualTo(parse("ollama/native-chat-stream", body));
    }

    /**
     * Tests each dialect with characters of one to four bytes. The bytes come one by one, and in two pieces that are
     * cut at every place.
     */
    @ParameterizedTest
    @EnumSource(value = Backend.class, names = "LLAMA_CLI", mode = EnumSource.Mode.EXCLUDE)
    void a_unicode_answer_may_be_split_anywhere(Backend backend) throws Exception {
        try (FakeUpstream fake = FakeUpstream.start()) {
            fake.flavour(backend == Backend.LLAMA_SERVER ? Flavour.LLAMA_SERVER : Flavour.VLLM);
            fake.script(_ -> dev.penstock.testkit.upstream.Answer.unicode(12)
                    .reasoning("Gr\u00fc\u00df", " \ud83e\udd14\u20ac"));
            WireProtocol protocol = WireProtocol.of(NodeSettings.at(backend, URI.create(fake.url())));
            WireProtocol.Request request = protocol.request(prompt(1));
            byte[] body = HttpClient.newHttpClient()
                    .send(
                            HttpRequest.newBuilder(URI.create(fake.url() + request.path()))
                                    .POST(HttpRequest.BodyPublishers.ofByteArray(
                                            request.bodies().getFirst().getBytes()))
                                    .build(),
                            HttpResponse.BodyHandlers.ofByteArray())
                    .body();
            List<TokenEvent> whole = parse(protocol, 1, body);
            assertThat(whole.getLast()).isInstanceOf(TokenEvent.End.class);
            assertThat(text(whole, TokenEvent.Field.CONTENT))
                    .isEqualTo(dev.penstock.testkit.upstream.Answer.unicode(12).joined());
            assertThat(text(whole, TokenEvent.Field.REASONING)).isEqualTo("Gr\u00fc\u00df \ud83e\udd14\u20ac");

            byte[][] bytes = new byte[body.length][];
            for (int i = 0; i < body.length; i++) {
                bytes[i] = new byte[] {body[i]};
                assertThat(parse(protocol, 1, Arrays.copyOfRange(body, 0, i), Arrays.copyOfRange(body, i, body.length)))
                        .as("cut at %d", i)
                        .isEqualTo(whole);
            }
            assertThat(parse(protocol, 1, bytes)).isEqualTo(whole);
        }
    }

    private static String text(List<TokenEvent> events, TokenEvent.Field field) {
        return events.stream()
                .filter(event -> event instanceof TokenEvent.Text text && text.field() == field)
                .map(event -> ((TokenEvent.Text) event).text())
                .collect(Collectors.joining());
    }

    @ParameterizedTest
    @CsvSource({
        "llama-server/stream-server-sigkill, STREAM_BROKEN",
        "llama-server/stream-server-sigterm, STREAM_BROKEN",
        "vllm/stream-sigkill, STREAM_BROKEN",
        "vllm/stream-engine-killed, NODE_ERROR",
        "vllm/stream-abort, NODE_ERROR",
        "vllm/stream-sigterm-error, NODE_ERROR",
        "ollama/server-sigkill-stream, STREAM_BROKEN",
        "ollama/runner-error-swallowed-stream, STREAM_BROKEN",
        "ollama/runner-error-swallowed-empty-stream, STREAM_BROKEN",
        "ollama/repeat-limit-stream, STREAM_BROKEN",
        "ollama/native-kill-runner-stream, NODE_ERROR",
        "ollama/kill-runner-stream, NODE_ERROR",
        "ollama/native-parse-error-stream, NODE_ERROR"
    })
    void a_stream_without_its_end_mark_is_broken_and_not_complete(String name, JobFailure.Code code) {
        List<TokenEvent> said = parse(name, Recording.of(name).body().getBytes(StandardCharsets.UTF_8));

        assertThat(said).as("end of %s", name).noneMatch(event -> event instanceof TokenEvent.End);
        TokenEvent last = said.isEmpty() ? new TokenEvent.End() : said.getLast();
        boolean told = last instanceof TokenEvent.Broken;
        // the end of the connection reports what the server does not
        JobFailure.Code seen =
                last instanceof TokenEvent.Broken(JobFailure failure) ? failure.code() : JobFailure.Code.STREAM_BROKEN;
        assertThat(seen).as("%s (told: %s)", name, told).isEqualTo(code);
    }

    @ParameterizedTest
    @CsvSource({
        "llama-server/err-prompt-too-long, CONTEXT_LENGTH_EXCEEDED",
        "llama-server/err-no-messages, INVALID_REQUEST",
        "llama-server/key-wrong, NODE_UNAUTHORIZED",
        "llama-server/loading-chat, NODE_OVERLOADED",
        "vllm/err-prompt-too-long, CONTEXT_LENGTH_EXCEEDED",
        "vllm/err-unknown-model, MODEL_NOT_FOUND",
        "vllm/err-not-found, MODEL_NOT_FOUND",
        "vllm/err-max-tokens-over-context, CONTEXT_LENGTH_EXCEEDED",
        "vllm/err-tool-auto-no-flag, MODEL_NOT_FOUND",
        "ollama/err-think-unsupported, MODEL_NOT_FOUND",
        "ollama/err-tools-unsupported, MODEL_NOT_FOUND",
        "vllm/err-queue-full, NODE_OVERLOADED",
        "vllm/key-wrong, NODE_UNAUTHORIZED",
        "vllm/nonstream-engine-killed, NODE_ERROR",
        "ollama/err-chat-model-missing, MODEL_NOT_FOUND",
        "ollama/err-not-found, NODE_ERROR",
        "ollama/err-max-queue, NODE_OVERLOADED",
        "ollama/err-option-type, INVALID_REQUEST",
        "ollama/prompt-too-long-truncate-false, CONTEXT_LENGTH_EXCEEDED",
        "ollama/err-load-failed, NODE_ERROR"
    })
    void a_refusal_has_the_contracts_code_and_the_servers_words(String name, JobFailure.Code code) {
        Recording recording = Recording.of(name);

        JobFailure failure = ERRORS.refused(recording.status(), recording.body(), prompt(1));

        assertThat(failure.code()).as(failure.message()).isEqualTo(code);
        assertThat(failure.message())
                .contains("vllm at http://gpu:8000 answered " + recording.status())
                .doesNotContain("\n");
    }

    /** The answer of earlier vLLM versions; 0.32.0 does not have the path in that case. */
    @Test
    void a_model_without_embeddings_is_for_another_node() {
        String body =
                "{\"object\":\"error\",\"message\":\"The model does not support Embeddings API\",\"type\":\"BadRequestError\",\"param\":null,\"code\":400}";
        Prompt prompt = Prompt.of(Task.EMBEDDINGS, "m", Map.of("input", "Hi"), Map.of(), Map.of(), 0);

        assertThat(ERRORS.refused(400, body, prompt).code()).isEqualTo(JobFailure.Code.MODEL_NOT_FOUND);
        assertThat(ERRORS.refused(404, Recording.of("vllm/err-embeddings-off").body(), prompt)
                        .code())
                .isEqualTo(JobFailure.Code.MODEL_NOT_FOUND);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{\"error\":{\"message\":\"Too much.\",\"type\":\"invalid_request_error\",\"code\":\"context_length_exceeded\"}}",
                "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"input length and `max_tokens` exceed context limit: 178959 + 64000 > 200000, decrease input length\"}}",
                "{\"error\":{\"message\":\"Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in 300000 tokens.\",\"code\":null}}"
            })
    void a_context_that_is_exceeded_is_known_by_code_and_words(String body) {
        assertThat(ERRORS.refused(400, body, prompt(1)).code()).isEqualTo(JobFailure.Code.CONTEXT_LENGTH_EXCEEDED);
        assertThat(parse("vllm/error", ("data: " + body + "\n\n").getBytes(StandardCharsets.UTF_8)))
                .singleElement()
                .isInstanceOfSatisfying(
                        TokenEvent.Broken.class,
                        broken ->
                                assertThat(broken.failure().code()).isEqualTo(JobFailure.Code.CONTEXT_LENGTH_EXCEEDED));
    }

    @Test
    void reasoning_under_both_its_names_is_read_once() {
        String delta = "data: {\"choices\":[{\"index\":0,\"delta\":{%s}}]}\n\n";
        String both = delta.formatted("\"reasoning\":\"Hm\",\"reasoning_content\":\"Hm\"")
                + delta.formatted("\"reasoning\":null,\"reasoning_content\":\"m\"")
                + delta.formatted("\"reasoning\":\"\",\"reasoning_content\":\".\"");

        assertThat(text(parse("vllm/both", both.getBytes(StandardCharsets.UTF_8)), TokenEvent.Field.REASONING))
                .isEqualTo("Hmm.");
    }

    @Test
    void reasoning_tools_logprobs_and_usage_arrive_in_their_fields() {
        Answer thinking = answer("vllm/think-stream");
        assertThat(thinking.choices().getFirst().text().get(TokenEvent.Field.REASONING))
                .isNotBlank();

        Answer tools = answer("vllm/tool-required-stream");
        assertThat(tools.choices().getFirst().toolCalls()).isNotEmpty();
        assertThat(tools.choices().getFirst().finishReason()).isEqualTo("tool_calls");

        Answer ollamaTools = answer("ollama/tools-go-stream");
        assertThat(ollamaTools.choices().getFirst().toolCalls()).isNotEmpty();
        assertThat(ollamaTools.choices().getFirst().finishReason()).isEqualTo("tool_calls");

        assertThat(answer("llama-server/chat-logprobs-stream")
                        .choices()
                        .getFirst()
                        .logprobs())
                .isNotEmpty();
        assertThat(answer("llama-server/chat-n2-stream", 2).choices()).hasSize(2);
        assertThat(answer("ollama/chat-stream").usage().completionTokens()).isPositive();
        assertThat(answer("llama-server/chat-stream-usage").usage().promptTokens())
                .isPositive();
        assertThat(answer("llama-server/chat-stream-usage").usage().cachedTokens())
                .isPositive();
    }

    /** The reasons of DeepSeek, of vLLM and SGLang, and of mistral.rs. */
    @ParameterizedTest
    @ValueSource(strings = {"insufficient_system_resource", "abort", "canceled"})
    void a_choice_that_its_server_did_not_finish_is_broken(String reason) {
        List<TokenEvent> said = finishing(reason);

        assertThat(said).noneMatch(event -> event instanceof TokenEvent.Finish || event instanceof TokenEvent.End);
        assertThat(said.getLast()).isInstanceOfSatisfying(TokenEvent.Broken.class, broken -> {
            assertThat(broken.failure().code()).isEqualTo(JobFailure.Code.NODE_ERROR);
            assertThat(broken.failure().message()).contains("finish_reason " + reason);
        });
    }

    @ParameterizedTest
    @CsvSource({
        "eos_token, stop",
        "stop_sequence, stop",
        "model_length, length",
        "stop, stop",
        "content_filter, content_filter"
    })
    void a_choice_is_finished_in_openais_words(String said, String reason) {
        assertThat(finishing(said)).contains(new TokenEvent.Finish(0, reason)).endsWith(new TokenEvent.End());
    }

    private static List<TokenEvent> finishing(String reason) {
        String chunk = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"},\"finish_reason\":%s}]}\n\n";
        String body = chunk.formatted("null") + chunk.formatted("\"" + reason + "\"") + "data: [DONE]\n\n";
        return parse(new OpenAiCompatibleProtocol(), 1, body.getBytes(StandardCharsets.UTF_8));
    }

    @ParameterizedTest
    @CsvSource({"ollama/chat-load, INVALID_REQUEST", "ollama/chat-unload, NODE_ERROR"})
    void what_only_loads_or_unloads_a_model_is_no_answer(String name, JobFailure.Code code) {
        assertThat(parse(name, Recording.of(name).body().getBytes(StandardCharsets.UTF_8)))
                .last()
                .isInstanceOfSatisfying(
                        TokenEvent.Broken.class,
                        broken -> assertThat(broken.failure().code()).isEqualTo(code));
    }

    private static Answer answer(String name) {
        return answer(name, 1);
    }

    private static Answer answer(String name, int choices) {
        Answer.Builder builder = new Answer.Builder();
        List<TokenEvent> events = parse(name, choices, Recording.of(name).body().getBytes(StandardCharsets.UTF_8));
        events.forEach(builder::add);
        assertThat(events.getLast()).isInstanceOf(TokenEvent.End.class);
        return builder.build(new Answer.Head("id", 1, "m", Task.CHAT));
    }

    private static List<TokenEvent> parse(String name, byte[]... pieces) {
        return parse(name, 1, pieces);
    }

    private static List<TokenEvent> parse(String name, int choices, byte[]... pieces) {
        return parse(name.startsWith("ollama/") ? new OllamaProtocol() : new VllmProtocol(), choices, pieces);
    }

    private static List<TokenEvent> parse(WireProtocol protocol, int choices, byte[]... pieces) {
        AnswerParser parser = protocol.parser(prompt(choices));
        List<TokenEvent> events = new ArrayList<>();
        WholeCharacters whole = new WholeCharacters(events::add);
        Cutter lines = parser.cutter(1 << 20, whole);
        for (byte[] piece : pieces) {
            assertThat(lines.feed(piece)).isTrue();
        }
        lines.end();
        parser.end(whole);
        return events;
    }

    private static Prompt prompt(int choices) {
        Map<String, Object> body = Map.of("messages", List.of(Map.of("role", "user", "content", "Hi")), "n", choices);
        return Prompt.of(Task.CHAT, "m", body, Map.of(), Map.of(), 0);
    }
}
