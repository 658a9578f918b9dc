package dev.penstock.api.ollama;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.api.call.ApiException;
import dev.penstock.api.direct.AnswerFormat;
import dev.penstock.job.Answer;
import dev.penstock.job.JobFailure;
import dev.penstock.job.TokenEvent;
import dev.penstock.wire.Json;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Writes answers as Ollama does (observed with 0.33.0): one JSON object for each line. The model has the name that the
 * client gave, as at Ollama. Tool calls come whole, in a line of their own before the last line.
 */
final class OllamaFormat implements AnswerFormat {
    /** NEXT LINE, LINE SEPARATOR and PARAGRAPH SEPARATOR. */
    private static final Pattern LINE_ENDS = Pattern.compile("[\\x{85}\\x{2028}\\x{2029}]");

    static final String NDJSON = "application/x-ndjson";

    private final Shape shape;
    private final String model;
    private final Clock clock;
    private final Instant began;
    private @Nullable Instant firstPiece;

    /** The endpoint whose answer is written. */
    enum Shape {
        CHAT,
        GENERATE,
        EMBED,
        EMBEDDINGS
    }

    /** @param model the name of the model in the client's request */
    OllamaFormat(Shape shape, String model, Clock clock) {
        this.shape = shape;
        this.model = model;
        this.clock = clock;
        began = clock.instant();
    }

    @Override
    public String streamType() {
        return NDJSON;
    }

    @Override
    public byte[] whole(Answer answer) {
        return Json.bytes(
                switch (shape) {
                    case CHAT, GENERATE -> wholeText(answer.choices().getFirst(), answer);
                    case EMBED -> embeddings(answer);
                    case EMBEDDINGS -> {
                        ObjectNode document = JsonNodeFactory.instance.objectNode();
                        yield document.putPOJO("embedding", answer.embeddings().getFirst());
                    }
                });
    }

    private ObjectNode wholeText(Answer.Choice choice, Answer answer) {
        ArrayNode calls = calls(choice).orElseThrow(() -> new ApiException(brokenCall()));
        ObjectNode line = line(content(choice), text(choice, TokenEvent.Field.REASONING), calls, true);
        line.put("done_reason", reason(choice));
        // Ollama has them before the figures in a chat, and after them in a completion
        if (shape == Shape.CHAT) {
            logprobs(line, choice.logprobs());
        }
        figures(line, answer);
        if (shape == Shape.GENERATE) {
            logprobs(line, choice.logprobs());
        }
        return line;
    }

    private ObjectNode embeddings(Answer answer) {
        ObjectNode document = JsonNodeFactory.instance.objectNode();
        document.put("model", model);
        document.putPOJO("embeddings", answer.embeddings());
        return document.put("total_duration", nanos(began, clock.instant()))
                .put("load_duration", 0)
                .put("prompt_eval_count", answer.usage().promptTokens());
    }

    /** Returns the answer to a request without a prompt or an input. */
    byte[] withoutPrompt(String reason) {
        ObjectNode document = JsonNodeFactory.instance.objectNode();
        return Json.bytes(
                switch (shape) {
                    case CHAT, GENERATE ->
                        line("", "", JsonNodeFactory.instance.arrayNode(), true).put("done_reason", reason);
                    case EMBED -> document.put("model", model).set("embeddings", document.arrayNode());
                    case EMBEDDINGS -> document.set("embedding", document.arrayNode());
                });
    }

    @Override
    public String begin(Answer.Head head) {
        return "";
    }

    @Override
    public String piece(Answer.Head head, List<TokenEvent> deltas) {
        if (firstPiece == null) {
            firstPiece = clock.instant();
        }
        StringBuilder content = new StringBuilder();
        StringBuilder thinking = new StringBuilder();
        List<Object> logprobs = new ArrayList<>();
        for (TokenEvent delta : deltas) {
            switch (delta) {
                case TokenEvent.Text(int _, TokenEvent.Field field, String text) ->
                    (field == TokenEvent.Field.REASONING ? thinking : content).append(text);
                case TokenEvent.Logprobs(int _, Object value) -> logprobs.add(value);
                // the last lines have the tool calls and the reason
                case TokenEvent.ToolCall _,
                        TokenEvent.Thinking _,
                        TokenEvent.Role _,
                        TokenEvent.Model _,
                        TokenEvent.Embedding _,
                        TokenEvent.Scored _,
                        TokenEvent.Finish _,
                        TokenEvent.Spent _,
                        TokenEvent.End _,
                        TokenEvent.Broken _ -> {}
            }
        }
        if (content.isEmpty() && thinking.isEmpty() && logprobs.isEmpty()) {
            return "";
        }
        ObjectNode line = line(content.toString(), thinking.toString(), JsonNodeFactory.instance.arrayNode(), false);
        logprobs(line, logprobs);
        return text(line);
    }

    @Override
    public String end(Answer answer) {
        Answer.Choice choice = answer.choices().getFirst();
        Optional<ArrayNode> calls = calls(choice);
        if (calls.isEmpty()) {
            return broken(brokenCall());
        }
        String before = calls.get().isEmpty() ? "" : text(line("", "", calls.get(), false));
        ObjectNode last =
                line("", "", JsonNodeFactory.instance.arrayNode(), true).put("done_reason", reason(choice));
        figures(last, answer);
        return before + text(last);
    }

    @Override
    public String broken(JobFailure failure) {
        return text(document(failure));
    }

    @Override
    public byte[] error(JobFailure failure) {
        return errorBytes(failure);
    }

    /** Returns an error in Ollama's shape. */
    static byte[] errorBytes(JobFailure failure) {
        return Json.bytes(document(failure));
    }

    private static ObjectNode document(JobFailure failure) {
        return JsonNodeFactory.instance.objectNode().put("error", failure.message());
    }

    private ObjectNode line(String content, String thinking, ArrayNode calls, boolean done) {
        ObjectNode line = JsonNodeFactory.instance
                .objectNode()
                .put("model", model)
                .put("created_at", clock.instant().toString());
        ObjectNode home = line;
        if (shape == Shape.CHAT) {
            home = line.putObject("message").put("role", "assistant").put("content", content);
        } else {
            line.put("response", content);
        }
        if (!thinking.isEmpty()) {
            home.put("thinking", thinking);
        }
        if (!calls.isEmpty()) {
            home.set("tool_calls", calls);
        }
        return line.put("done", done);
    }

    /**
     * Adds the figures of the last line, in nanoseconds. The time before the first piece counts as the time for the
     * prompt. An answer that is not streamed has no such moment: its whole time counts as the time for the answer.
     * Penstock does not know how long a node loaded the model.
     */
    private void figures(ObjectNode line, Answer answer) {
        Instant now = clock.instant();
        Instant first = Objects.requireNonNullElse(firstPiece, began);
        line.put("total_duration", nanos(began, now))
                .put("load_duration", 0)
                .put("prompt_eval_count", answer.usage().promptTokens())
                .put("prompt_eval_duration", nanos(began, first))
                .put("eval_count", answer.usage().completionTokens())
                .put("eval_duration", nanos(first, now));
    }

    private static String reason(Answer.Choice choice) {
        return "length".equals(choice.finishReason()) ? "length" : "stop";
    }

    private static long nanos(Instant from, Instant to) {
        return Math.max(0, Duration.between(from, to).toNanos());
    }

    /**
     * Returns the tool calls with their arguments as objects. If the answer was cut by its length, a call that was cut
     * is left out, as Ollama does.
     *
     * @return empty if a call that was not cut has arguments that are no object
     */
    private static Optional<ArrayNode> calls(Answer.Choice choice) {
        ArrayNode calls = JsonNodeFactory.instance.arrayNode();
        for (Answer.ToolCall call : choice.toolCalls()) {
            JsonNode arguments = call.arguments().isBlank()
                    ? JsonNodeFactory.instance.objectNode()
                    : Json.parseLenient(call.arguments());
            if (arguments == null || !arguments.isObject()) {
                if ("length".equals(choice.finishReason())) {
                    continue;
                }
                return Optional.empty();
            }
            calls.addObject()
                    .put("id", call.id())
                    .putObject("function")
                    .put("index", calls.size() - 1)
                    .put("name", call.name())
                    .set("arguments", arguments);
        }
        return Optional.of(calls);
    }

    private static JobFailure brokenCall() {
        return JobFailure.of(
                JobFailure.Code.NODE_ERROR,
                "invalid tool call arguments: the model wrote a tool call whose arguments are no JSON object");
    }

    /** Adds the log probabilities, whose elements have the same form at OpenAI and Ollama. */
    private static void logprobs(ObjectNode line, List<Object> pieces) {
        ArrayNode tokens = JsonNodeFactory.instance.arrayNode();
        for (Object piece : pieces) {
            JsonNode node = Json.mapper().valueToTree(piece);
            node.path("content").forEach(tokens::add);
        }
        if (!tokens.isEmpty()) {
            line.set("logprobs", tokens);
        }
    }

    private static String content(Answer.Choice choice) {
        return text(choice, TokenEvent.Field.CONTENT) + text(choice, TokenEvent.Field.REFUSAL);
    }

    private static String text(Answer.Choice choice, TokenEvent.Field field) {
        return choice.text().getOrDefault(field, "");
    }

    /** Returns a line. The Python client (ollama 0.6.3) ends a line also at Unicode's own line ends, so these are escaped. */
    private static String text(ObjectNode line) {
        String json = new String(Json.bytes(line), StandardCharsets.UTF_8);
        return LINE_ENDS
                        .matcher(json)
                        .replaceAll(
                                end -> "\\\\u%04x".formatted((int) end.group().charAt(0)))
                + "\n";
    }
}
