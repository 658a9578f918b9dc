package dev.penstock.api.ollama;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.api.call.ApiException;
import dev.penstock.job.Answer;
import dev.penstock.job.JobFailure;
import dev.penstock.job.Task;
import dev.penstock.job.TokenEvent;
import dev.penstock.job.Usage;
import dev.penstock.node.protocol.answer.OllamaStream;
import dev.penstock.testkit.PlayedClock;
import dev.penstock.testkit.upstream.Recording;
import dev.penstock.wire.Json;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Feeds recorded answers of Ollama through the parser of an Ollama node, and compares the lines that come out. */
class OllamaFormatTest {
    private static final Instant START = Instant.parse("2026-12-01T08:00:00Z");

    private Instant now = START;
    private final Clock clock = PlayedClock.of(() -> now);

    @ParameterizedTest
    @CsvSource({
        "chat-stream, CHAT",
        "chat-stream-stop, CHAT",
        "chat-stop-string-stream, CHAT",
        "chat-format-schema-stream, CHAT",
        "chat-logprobs-stream, CHAT",
        "chat-while-loading-stream, CHAT",
        "native-chat-stream, CHAT",
        "think-stream, CHAT",
        "think-go-stream, CHAT",
        "tools-go-stream, CHAT",
        "generate-stream, GENERATE",
        "generate-raw-stream, GENERATE",
        "think-generate-stream, GENERATE",
    })
    void a_streamed_answer_has_the_lines_of_ollama(String recording, OllamaFormat.Shape shape) {
        List<String> recorded = lines(Recording.of("ollama/" + recording).body());

        assertThat(played(recording, shape)).isEqualTo(recorded);
        assertThat(recorded).hasSizeGreaterThan(1);
    }

    /** Some models of Ollama have their calls on the last line, and others in a line of their own before it. */
    @ParameterizedTest
    @ValueSource(strings = {"tools-stream", "tools-text-and-call-stream"})
    void tool_calls_come_in_a_line_before_the_last(String recording) {
        List<String> played = played(recording, OllamaFormat.Shape.CHAT);

        ObjectNode last = (ObjectNode)
                parsed(lines(Recording.of("ollama/" + recording).body()).getLast());
        JsonNode calls = ((ObjectNode) last.get("message")).remove("tool_calls");
        assertThat(played.getLast()).isEqualTo(last.toString());
        JsonNode before = parsed(played.get(played.size() - 2));
        assertThat(before.path("message").path("tool_calls")).isEqualTo(calls);
        assertThat(before.path("done").asBoolean(true)).isFalse();
    }

    @ParameterizedTest
    @CsvSource({
        "chat, CHAT",
        "chat-stop, CHAT",
        "chat-unicode, CHAT",
        "chat-logprobs, CHAT",
        "chat-long-nonstream, CHAT",
        "think, CHAT",
        "think-go, CHAT",
        "tools, CHAT",
        "tools-go, CHAT",
        "generate, GENERATE",
        "generate-raw, GENERATE",
        "generate-logprobs, GENERATE",
    })
    void a_whole_answer_is_that_of_ollama(String recording, OllamaFormat.Shape shape) {
        String recorded = Recording.of("ollama/" + recording).body();
        Answer answer = answer(recorded, shape);

        byte[] whole = format(shape, parsed(recorded).path("model").asText()).whole(answer);

        assertThat(comparable(text(whole))).isEqualTo(comparable(recorded));
    }

    @ParameterizedTest
    @ValueSource(strings = {"embed-one", "embed-many"})
    void embeddings_have_the_form_of_ollama(String recording) {
        String recorded = Recording.of("ollama/" + recording).body();
        JsonNode document = parsed(recorded);
        List<Object> vectors = new ArrayList<>();
        document.path("embeddings").forEach(vectors::add);
        Answer answer = new Answer(
                head(Task.EMBEDDINGS),
                List.of(),
                vectors,
                new Usage(document.path("prompt_eval_count").asLong(), 0));

        byte[] whole = format(OllamaFormat.Shape.EMBED, document.path("model").asText())
                .whole(answer);

        assertThat(comparable(text(whole))).isEqualTo(comparable(recorded));
    }

    @Test
    void the_older_endpoint_has_one_embedding() {
        String recorded = Recording.of("ollama/embeddings-legacy").body();
        Answer answer = new Answer(
                head(Task.EMBEDDINGS), List.of(), List.of(parsed(recorded).path("embedding")), new Usage(3, 0));

        assertThat(text(format(OllamaFormat.Shape.EMBEDDINGS, "tiny-embed").whole(answer)))
                .isEqualTo(recorded);
    }

    @ParameterizedTest
    @CsvSource({
        "chat-load, CHAT, load",
        "chat-unload, CHAT, unload",
        "generate-load, GENERATE, load",
        "generate-unload, GENERATE, unload",
        "embed-empty-string, EMBED, load",
        "embeddings-legacy-empty, EMBEDDINGS, load",
    })
    void a_request_without_a_prompt_has_the_answer_of_ollama(
            String recording, OllamaFormat.Shape shape, String reason) {
        String recorded = Recording.of("ollama/" + recording).body();

        byte[] answer = format(shape, parsed(recorded).path("model").asText()).withoutPrompt(reason);

        assertThat(comparable(text(answer))).isEqualTo(comparable(recorded));
    }

    @Test
    void the_last_line_has_the_measured_times() {
        OllamaFormat format = format(OllamaFormat.Shape.CHAT, "tiny");
        now = START.plusMillis(200);
        format.piece(head(Task.CHAT), List.of(new TokenEvent.Role(0)));
        now = START.plusMillis(900);

        JsonNode last = parsed(format.end(answer("stop", List.of())));

        assertThat(last.path("created_at").asText()).isEqualTo("2026-12-01T08:00:00.900Z");
        assertThat(last.path("total_duration").asLong())
                .isEqualTo(Duration.ofMillis(900).toNanos());
        assertThat(last.path("prompt_eval_duration").asLong())
                .isEqualTo(Duration.ofMillis(200).toNanos());
        assertThat(last.path("eval_duration").asLong())
                .isEqualTo(Duration.ofMillis(700).toNanos());
        assertThat(last.path("load_duration").asLong(-1)).isZero();
        assertThat(last.path("prompt_eval_count").asLong()).isEqualTo(4);
        assertThat(last.path("eval_count").asLong()).isEqualTo(2);
    }

    @Test
    void the_time_of_a_whole_answer_is_the_time_for_the_answer() {
        OllamaFormat format = format(OllamaFormat.Shape.GENERATE, "tiny");
        now = START.plusMillis(900);

        JsonNode whole = parsed(text(format.whole(answer("stop", List.of()))));

        assertThat(whole.path("prompt_eval_duration").asLong(-1)).isZero();
        assertThat(whole.path("eval_duration").asLong())
                .isEqualTo(Duration.ofMillis(900).toNanos());
    }

    @ParameterizedTest
    @CsvSource({"stop, stop", "length, length", "tool_calls, stop", "content_filter, stop"})
    void every_finish_reason_has_one_of_ollama(String reason, String expected) {
        JsonNode last = parsed(format(OllamaFormat.Shape.CHAT, "tiny").end(answer(reason, List.of())));

        assertThat(last.path("done_reason").asText()).isEqualTo(expected);
        assertThat(last.path("done").asBoolean()).isTrue();
    }

    @Test
    void a_piece_without_text_writes_no_line() {
        List<TokenEvent> silent = List.of(
                new TokenEvent.Model("m"),
                new TokenEvent.Role(0),
                new TokenEvent.ToolCall(0, 0, "call_1", "f", "{"),
                new TokenEvent.Finish(0, "stop"));

        assertThat(format(OllamaFormat.Shape.CHAT, "tiny").piece(head(Task.CHAT), silent))
                .isEmpty();
        assertThat(format(OllamaFormat.Shape.CHAT, "tiny").begin(head(Task.CHAT)))
                .isEmpty();
    }

    @Test
    void reasoning_and_text_of_one_piece_are_one_line() {
        String line = format(OllamaFormat.Shape.CHAT, "tiny")
                .piece(
                        head(Task.CHAT),
                        List.of(
                                new TokenEvent.Text(0, TokenEvent.Field.REASONING, "Let "),
                                new TokenEvent.Text(0, TokenEvent.Field.REASONING, "me see."),
                                new TokenEvent.Text(0, TokenEvent.Field.CONTENT, "Yes"),
                                new TokenEvent.Text(0, TokenEvent.Field.CONTENT, ".")));

        assertThat(line).endsWith("\n");
        assertThat(parsed(line).path("message").toString())
                .isEqualTo("{\"role\":\"assistant\",\"content\":\"Yes.\",\"thinking\":\"Let me see.\"}");
    }

    /** Ollama leaves out such a call too (tools-go-swallowed-stream). */
    @Test
    void a_call_that_the_length_cut_is_left_out() {
        Answer cut = answer("length", List.of(new Answer.ToolCall("a", "f", "{\"city\":\"Os")));

        assertThat(parsed(format(OllamaFormat.Shape.CHAT, "tiny").end(cut))
                        .path("done_reason")
                        .asText())
                .isEqualTo("length");
        assertThat(parsed(text(format(OllamaFormat.Shape.CHAT, "tiny").whole(cut)))
                        .path("message")
                        .has("tool_calls"))
                .isFalse();
    }

    /** Ollama's streams end with such a line too (native-parse-error-stream). */
    @ParameterizedTest
    @ValueSource(strings = {"{\"city\":", "[1]", "Oslo"})
    void arguments_that_are_no_object_are_an_error(String arguments) {
        Answer broken = answer("tool_calls", List.of(new Answer.ToolCall("a", "f", arguments)));

        String end = format(OllamaFormat.Shape.CHAT, "tiny").end(broken);

        assertThat(parsed(end).path("error").asText()).startsWith("invalid tool call arguments");
        assertThat(end.lines()).hasSize(1);
        OllamaFormat format = format(OllamaFormat.Shape.CHAT, "tiny");
        assertThatThrownBy(() -> format.whole(broken)).isInstanceOf(ApiException.class);
    }

    @Test
    void a_call_without_arguments_has_an_empty_object() {
        Answer bare = answer("tool_calls", List.of(new Answer.ToolCall("a", "now", "")));

        String first = format(OllamaFormat.Shape.CHAT, "tiny")
                .end(bare)
                .lines()
                .findFirst()
                .orElseThrow();

        assertThat(parsed(first).at("/message/tool_calls/0").toString())
                .isEqualTo("{\"id\":\"a\",\"function\":{\"index\":0,\"name\":\"now\",\"arguments\":{}}}");
    }

    /** The recorded stream of a killed runner ends with such a line. */
    @Test
    void an_error_is_a_text_in_one_field() {
        List<String> recorded = Recording.of("ollama/kill-runner-stream")
                .body()
                .lines()
                .filter(line -> !line.isBlank())
                .toList();
        JobFailure failure = JobFailure.of(
                JobFailure.Code.STREAM_BROKEN, "an error was encountered while running the model: unexpected EOF");
        OllamaFormat format = format(OllamaFormat.Shape.CHAT, "tiny");

        assertThat(format.broken(failure)).isEqualTo(recorded.getLast() + "\n");
        assertThat(text(format.error(failure))).isEqualTo(recorded.getLast());
        assertThat(format.streamType())
                .isEqualTo(Recording.of("ollama/kill-runner-stream").headers().get("content-type"));
    }

    /** Returns the lines for a recorded stream, one piece for each of its lines. */
    private List<String> played(String recording, OllamaFormat.Shape shape) {
        String body = Recording.of("ollama/" + recording).body();
        OllamaStream parser = new OllamaStream(shape == OllamaFormat.Shape.CHAT);
        OllamaFormat format = format(
                shape,
                parsed(body.lines().findFirst().orElseThrow()).path("model").asText());
        Answer.Builder answer = new Answer.Builder();
        Answer.Head head = head(shape == OllamaFormat.Shape.CHAT ? Task.CHAT : Task.COMPLETION);
        StringBuilder written = new StringBuilder(format.begin(head));
        body.lines().filter(line -> !line.isBlank()).forEach(line -> {
            List<TokenEvent> events = new ArrayList<>();
            parser.line(line, events::add);
            events.forEach(answer::add);
            boolean ends = events.removeIf(TokenEvent.End.class::isInstance);
            if (!events.isEmpty()) {
                written.append(format.piece(head, events));
            }
            if (ends) {
                written.append(format.end(answer.build(head)));
            }
        });
        return lines(written.toString());
    }

    /** Python's {@code str.splitlines} also ends a line at these characters. */
    @Test
    void a_line_ends_only_at_its_end() {
        String text = "a\u0085b\u2028c\u2029d";

        String line = format(OllamaFormat.Shape.CHAT, "tiny")
                .piece(head(Task.CHAT), List.of(new TokenEvent.Text(0, TokenEvent.Field.CONTENT, text)));

        assertThat(line).contains("a\\u0085b\\u2028c\\u2029d");
        assertThat(parsed(line).at("/message/content").asText()).isEqualTo(text);
    }

    private static Answer answer(String recorded, OllamaFormat.Shape shape) {
        OllamaStream parser = new OllamaStream(shape == OllamaFormat.Shape.CHAT);
        Answer.Builder answer = new Answer.Builder();
        parser.line(recorded, answer::add);
        return answer.build(head(shape == OllamaFormat.Shape.CHAT ? Task.CHAT : Task.COMPLETION));
    }

    private static Answer answer(String reason, List<Answer.ToolCall> calls) {
        Answer.Builder answer = new Answer.Builder();
        for (int i = 0; i < calls.size(); i++) {
            Answer.ToolCall call = calls.get(i);
            answer.add(new TokenEvent.ToolCall(0, i, call.id(), call.name(), call.arguments()));
        }
        answer.add(new TokenEvent.Finish(0, reason));
        answer.add(new TokenEvent.Spent(new Usage(4, 2)));
        return answer.build(head(Task.CHAT));
    }

    private static Answer.Head head(Task task) {
        return new Answer.Head("chatcmpl-1", START.getEpochSecond(), "what-ran", task);
    }

    private OllamaFormat format(OllamaFormat.Shape shape, String model) {
        return new OllamaFormat(shape, model, clock);
    }

    private static List<String> lines(String body) {
        return Stream.of(body.split("\n", -1))
                .filter(line -> !line.isBlank())
                .map(OllamaFormatTest::comparable)
                .toList();
    }

    /** Returns a line with its fields in their order, without the time, the durations and the tokens of a context. */
    private static String comparable(String line) {
        ObjectNode document = (ObjectNode) parsed(line);
        document.remove("context");
        for (String name :
                List.of("created_at", "total_duration", "load_duration", "prompt_eval_duration", "eval_duration")) {
            if (document.has(name)) {
                document.put(name, 0);
            }
        }
        return document.toString();
    }

    private static JsonNode parsed(String line) {
        return Objects.requireNonNull(Json.parseLenient(line));
    }

    private static String text(byte[] document) {
        return new String(document, StandardCharsets.UTF_8);
    }
}
