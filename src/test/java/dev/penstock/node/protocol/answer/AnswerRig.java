package dev.penstock.node.protocol.answer;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.Answer;
import dev.penstock.job.EventMark;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.job.Task;
import dev.penstock.job.TokenEvent;
import dev.penstock.wire.Json;
import dev.penstock.wire.document.EventDocument;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;

/** Feeds a server's bytes to a parser, one at a time, and reads what it makes of them. */
final class AnswerRig {
    static final String DONE = "data: [DONE]\n\n";

    private AnswerRig() {}

    static void assertChunksAreTheMessage(List<TokenEvent> said) {
        Answer.Head head = new Answer.Head("id", 1, "m", Task.CHAT);
        Map<Integer, StringBuilder> arguments = new TreeMap<>();
        Map<Integer, StringBuilder> ids = new TreeMap<>();
        StringBuilder content = new StringBuilder();
        Answer.Builder builder = new Answer.Builder();
        for (TokenEvent event : said) {
            builder.add(event);
            JsonNode delta = document(new JobEvent.Chunk(head, List.of(event)))
                    .path("choices")
                    .path(0)
                    .path("delta");
            content.append(delta.path("content").asText(""));
            for (JsonNode call : delta.path("tool_calls")) {
                int index = call.path("index").asInt();
                ids.computeIfAbsent(index, _ -> new StringBuilder())
                        .append(call.path("id").asText(""));
                arguments
                        .computeIfAbsent(index, _ -> new StringBuilder())
                        .append(call.path("function").path("name").asText(""))
                        .append(call.path("function").path("arguments").asText(""));
            }
        }
        JsonNode message = document(new JobEvent.Completed(
                        builder.build(head),
                        false,
                        new JobEvent.Execution("n", "vllm", "m", 1, 2L, 3, 1, List.of(), List.of(), null, 0),
                        Map.of()))
                .path("choices")
                .path(0)
                .path("message");
        assertThat(message.path("content").asText("")).isIn(content.toString(), "null");
        int at = 0;
        for (JsonNode call : message.path("tool_calls")) {
            assertThat(call.path("id").asText()).isEqualTo(String.valueOf(ids.get(at)));
            assertThat(call.path("function").path("name").asText()
                            + call.path("function").path("arguments").asText())
                    .isEqualTo(String.valueOf(arguments.get(at++)));
        }
        assertThat(at).isEqualTo(ids.size());
    }

    static JsonNode document(JobEvent event) {
        byte[] bytes = EventDocument.write(new JobId("j"), new EventMark(event.kind(), 1, "r", 1), event);
        return Objects.requireNonNull(Json.parseLenient(new String(bytes, StandardCharsets.UTF_8)));
    }

    static String finish(String reason) {
        return "{'delta':{},'finish_reason':'%s'}".formatted(reason);
    }

    static String event(String choice) {
        return "data: {\"id\":\"chatcmpl-1\",\"choices\":[" + quoted(choice) + "]}\n\n";
    }

    static String quoted(String json) {
        return json.replace('\'', '"');
    }

    static List<TokenEvent> openAi(String body) {
        return read(new OpenAiStream(true, 1), body);
    }

    static List<TokenEvent> ollama(String body) {
        return read(new OllamaStream(true), body);
    }

    static List<TokenEvent> anthropic(String body) {
        return read(new AnthropicStream(), body);
    }

    static List<TokenEvent> read(AnswerParser parser, String body) {
        List<TokenEvent> events = new ArrayList<>();
        WholeCharacters whole = new WholeCharacters(events::add);
        Cutter cutter = parser.cutter(1 << 20, whole);
        for (byte b : body.getBytes(StandardCharsets.UTF_8)) {
            assertThat(cutter.feed(new byte[] {b})).isTrue();
        }
        cutter.end();
        parser.end(whole);
        return events;
    }

    static String text(List<TokenEvent> events, TokenEvent.Field field) {
        StringBuilder text = new StringBuilder();
        for (TokenEvent event : events) {
            if (event instanceof TokenEvent.Text(int _, TokenEvent.Field of, String words) && of == field) {
                text.append(words);
            }
        }
        return text.toString();
    }

    static List<Answer.ToolCall> calls(List<TokenEvent> events) {
        Answer.Builder builder = new Answer.Builder();
        events.forEach(builder::add);
        return builder.build(new Answer.Head("id", 1, "m", Task.CHAT))
                .choices()
                .getFirst()
                .toolCalls();
    }

    static JobFailure failure(List<TokenEvent> events) {
        return events.stream()
                .filter(event -> event instanceof TokenEvent.Broken)
                .map(event -> ((TokenEvent.Broken) event).failure())
                .findFirst()
                .orElseThrow(() -> new AssertionError("no failure in " + events));
    }
}
