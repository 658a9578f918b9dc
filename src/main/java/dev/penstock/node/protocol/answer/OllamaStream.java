package dev.penstock.node.protocol.answer;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.JobFailure;
import dev.penstock.job.TokenEvent;
import dev.penstock.job.Usage;
import dev.penstock.wire.Json;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;

/**
 * Parses Ollama's stream. Only {@code "done":true} with a done_reason means complete. A stream may end cleanly
 * without it: if the model repeats one token too often, or if the runner fails.
 */
public final class OllamaStream implements AnswerParser {
    /** The number of equal pieces that end an answer (0.33.0 ends it after 31 equal tokens). */
    private static final int REPEATS = 30;

    private static final int LONGEST = 16 * 1024 * 1024;

    /** The fields of a line that this parser reads, or that hold no text of the answer. */
    private static final Set<String> OF_LINE = Set.of(
            "message",
            "response",
            "done",
            "done_reason",
            "remote_model",
            "remote_host",
            "_debug_info",
            "thinking",
            "tool_calls",
            "content");

    private final boolean chat;
    private final ReportedModel model = new ReportedModel();
    private final JsonValues values = new JsonValues(LONGEST);
    private final ToolCalls calls = new ToolCalls(0);
    private String lastPiece = "";
    private int repeats;
    private boolean spoken;
    private boolean begun;
    private boolean over;

    public OllamaStream(boolean chat) {
        this.chat = chat;
    }

    @Override
    public Cutter cutter(int longest, Consumer<TokenEvent> events) {
        return new LineSplitter(longest, line -> line(line, events));
    }

    /** Parses a line, or one of several lines of a document. */
    @Override
    public void line(String line, Consumer<TokenEvent> events) {
        for (String value : values.add(line)) {
            value(value, events);
        }
    }

    @Override
    public void end(Consumer<TokenEvent> events) {
        String rest = values.rest();
        if (!rest.isEmpty()) {
            value(rest, events);
        }
        if (!over) {
            String what = repeats >= REPEATS
                    ? "stopped the answer at its repeat limit: the model wrote %s %d times in a row"
                            .formatted(ServerErrors.shorten("'" + lastPiece.strip() + "'"), repeats)
                    : "ended the answer without done: true, as it does when a model repeats one token up to Ollama's repeat limit, or when its runner fails";
            stop(events, JobFailure.Code.STREAM_BROKEN, what);
        }
    }

    private void value(String line, Consumer<TokenEvent> events) {
        if (over) {
            return;
        }
        JsonNode chunk = Json.parseLenient(line);
        if (chunk == null || !chunk.isObject()) {
            stop(events, JobFailure.Code.STREAM_BROKEN, "sent what is no JSON object: " + ServerErrors.shorten(line));
            return;
        }
        if (ServerErrors.isError(chunk)) {
            stop(events, ServerErrors.midStream(chunk), ServerErrors.failing(chunk, begun));
            return;
        }
        begun = true;
        try {
            chunk(chunk, events);
        } catch (UnreadText e) {
            stop(events, JobFailure.Code.NODE_ERROR, "sent text in a field that is not known: " + e.what());
        }
    }

    private void chunk(JsonNode chunk, Consumer<TokenEvent> events) throws UnreadText {
        UnreadText.check("", chunk, OF_LINE);
        model.report(chunk.path("model"), events);
        JsonNode message = chunk.path("message");
        model.report(chunk.path("model"), events);
        if (!spoken && chat && message.path("role").isTextual()) {
            spoken = true;
            events.accept(new TokenEvent.Role(0));
        }
        calls.of(chunk.path("created_at").asText(""));
        if (message.isObject()) {
            UnreadText.check("message", message, MessageText.READ);
            text(MessageText.of("message", message), events);
        } else {
            text(MessageText.of("message", TokenEvent.Field.CONTENT, message), events);
        }
        text(MessageText.of("response", TokenEvent.Field.CONTENT, chunk.path("response")), events);
        // text beside the message has the message's field names
        text(MessageText.of("line", chunk), events);
        for (JsonNode part : List.of(message, chunk)) {
            for (JsonNode call : part.path("tool_calls")) {
                JsonNode function = call.path("function");
                UnreadText.check("tool_calls", call, Set.of("function"));
                UnreadText.check("tool_calls.function", function, Set.of("arguments"));
                calls.add(
                        calls.size(),
                        call.path("id").asText(""),
                        function.path("name").asText(""),
                        ToolCalls.arguments(function.path("arguments")),
                        events);
            }
        }
        if (chunk.path("logprobs").isArray() && !chunk.path("logprobs").isEmpty()) {
            events.accept(new TokenEvent.Logprobs(0, Map.of("content", chunk.get("logprobs"))));
        }
        if (chunk.path("done").asBoolean(false)) {
            done(chunk, events);
        }
    }

    private void done(JsonNode chunk, Consumer<TokenEvent> events) {
        String reason = chunk.path("done_reason").asText("");
        if (reason.isEmpty()) {
            stop(events, JobFailure.Code.STREAM_BROKEN, "aborted its stream: done without a done_reason");
            return;
        }
        if (reason.equals("load")) {
            stop(events, JobFailure.Code.INVALID_REQUEST, "only loads a model where the prompt is empty");
            return;
        }
        String whole = FinishReasons.openAi(reason);
        if (whole == null) {
            stop(
                    events,
                    JobFailure.Code.NODE_ERROR,
                    "did not finish the answer: done_reason " + ServerErrors.shorten(reason));
            return;
        }
        over = true;
        calls.open(events);
        boolean called = !calls.isEmpty() && whole.equals("stop");
        events.accept(new TokenEvent.Spent(new Usage(
                chunk.path("prompt_eval_count").asLong(),
                chunk.path("eval_count").asLong())));
        events.accept(new TokenEvent.Finish(0, called ? "tool_calls" : whole));
        events.accept(new TokenEvent.End());
    }

    private void text(Map<TokenEvent.Field, StringBuilder> text, Consumer<TokenEvent> events) {
        text.forEach((field, words) -> {
            countRepeats(words.toString());
            events.accept(new TokenEvent.Text(0, field, words.toString()));
        });
    }

    private void countRepeats(String piece) {
        repeats = piece.equals(lastPiece) ? repeats + 1 : 1;
        lastPiece = piece;
    }

    private void stop(Consumer<TokenEvent> events, JobFailure.Code code, String message) {
        over = true;
        events.accept(new TokenEvent.Broken(JobFailure.of(code, message)));
    }
}
