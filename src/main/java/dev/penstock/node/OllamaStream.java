package dev.penstock.node;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.JobFailure;
import dev.penstock.job.TokenEvent;
import dev.penstock.job.Usage;
import dev.penstock.wire.Json;
import java.util.Map;
import java.util.function.Consumer;

/**
 * Only {@code "done":true} with a done_reason means complete. A stream may end cleanly without it: when the model repeats
 * one token too often, and when the runner fails.
 */
final class OllamaStream implements WireProtocol.AnswerParser {
    /** So many equal pieces end an answer (0.33.0 ends it after 31 equal tokens). */
    private static final int REPEATS = 30;

    private final boolean chat;
    private final SaidModel model = new SaidModel();
    private int toolCalls;
    private String lastPiece = "";
    private int repeats;
    private boolean spoken;
    private boolean over;

    OllamaStream(boolean chat) {
        this.chat = chat;
    }

    @Override
    public void line(String line, Consumer<TokenEvent> events) {
        if (over) {
            return;
        }
        JsonNode chunk = Json.parseLenient(line);
        if (chunk == null || !chunk.isObject()) {
            stop(events, JobFailure.Code.STREAM_BROKEN, "sent what is no JSON object: " + ServerErrors.shorten(line));
            return;
        }
        if (chunk.hasNonNull("error")) {
            stop(events, ServerErrors.midStream(chunk), "failed in mid-stream: " + ServerErrors.message(chunk));
            return;
        }
        model.tell(chunk.path("model"), events);
        JsonNode message = chat ? chunk.path("message") : chunk;
        if (!spoken && chat && message.path("role").isTextual()) {
            spoken = true;
            events.accept(new TokenEvent.Role(0, message.path("role").textValue()));
        }
        countRepeats(message.path(chat ? "content" : "response").asText("")
                + message.path("thinking").asText(""));
        text(TokenEvent.Field.CONTENT, message.path(chat ? "content" : "response"), events);
        text(TokenEvent.Field.REASONING, message.path("thinking"), events);
        for (JsonNode call : message.path("tool_calls")) {
            JsonNode function = call.path("function");
            events.accept(new TokenEvent.ToolCall(
                    0,
                    toolCalls,
                    call.path("id").asText("call_" + toolCalls),
                    function.path("name").asText(),
                    arguments(function.path("arguments"))));
            toolCalls++;
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
        boolean calls = toolCalls > 0 && whole.equals("stop");
        events.accept(new TokenEvent.Spent(new Usage(
                chunk.path("prompt_eval_count").asLong(),
                chunk.path("eval_count").asLong())));
        events.accept(new TokenEvent.Finish(0, calls ? "tool_calls" : whole));
        events.accept(new TokenEvent.End());
    }

    private static String arguments(JsonNode given) {
        return given.isTextual() ? given.textValue() : given.toString();
    }

    @Override
    public void end(Consumer<TokenEvent> events) {
        if (over) {
            return;
        }
        String what = repeats >= REPEATS
                ? "stopped the answer at its repeat limit: the model said %s %d times in a row"
                        .formatted(ServerErrors.shorten("'" + lastPiece.strip() + "'"), repeats)
                : "ended the answer without done: true, as it does when a model repeats one token up to Ollama's repeat limit, or when its runner fails";
        stop(events, JobFailure.Code.STREAM_BROKEN, what);
    }

    private void countRepeats(String piece) {
        if (!piece.isEmpty()) {
            repeats = piece.equals(lastPiece) ? repeats + 1 : 1;
            lastPiece = piece;
        }
    }

    private static void text(TokenEvent.Field field, JsonNode text, Consumer<TokenEvent> events) {
        if (text.isTextual() && !text.textValue().isEmpty()) {
            events.accept(new TokenEvent.Text(0, field, text.textValue()));
        }
    }

    private void stop(Consumer<TokenEvent> events, JobFailure.Code code, String message) {
        over = true;
        events.accept(new TokenEvent.Broken(JobFailure.of(code, message)));
    }
}
