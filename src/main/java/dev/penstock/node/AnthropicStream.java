package dev.penstock.node;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.job.JobFailure;
import dev.penstock.job.TokenEvent;
import dev.penstock.job.Usage;
import dev.penstock.wire.Json;
import java.util.HashMap;
import java.util.Map;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** The events of Anthropic's messages API; complete is what has a stop_reason and then message_stop. */
final class AnthropicStream implements WireProtocol.AnswerParser {
    /** A tool's block → its place among the calls. */
    private final Map<Integer, Integer> calls = new HashMap<>();

    private final Map<Integer, Boolean> argued = new HashMap<>();
    /** Blocks of thinking that are still open; the API wants them back whole, with their signature. */
    private final Map<Integer, ObjectNode> thinking = new HashMap<>();

    private final SaidModel model = new SaidModel();
    private long freshTokens;
    private long writtenToCache;
    private long readFromCache;
    private long completionTokens;
    private boolean finished;
    private boolean over;

    @Override
    public void line(String line, Consumer<TokenEvent> events) {
        if (over || !line.startsWith("data:")) {
            return;
        }
        String data = line.substring(5).strip();
        JsonNode event = data.equals("[DONE]") ? null : Json.parseLenient(data);
        if (event == null || !event.isObject()) {
            stop(
                    events,
                    JobFailure.Code.STREAM_BROKEN,
                    event == null && data.equals("[DONE]")
                            ? "ended its stream without message_stop"
                            : "sent what is no JSON object: " + ServerErrors.shorten(data));
            return;
        }
        if (event.hasNonNull("error")) {
            stop(events, ServerErrors.midStream(event), "failed in mid-stream: " + ServerErrors.message(event));
            return;
        }
        switch (event.path("type").asText("")) {
            case "message_start" -> {
                model.tell(event.path("message").path("model"), events);
                events.accept(new TokenEvent.Role(
                        0, event.path("message").path("role").asText("assistant")));
                spent(event.path("message").path("usage"), events);
            }
            case "content_block_start" -> blockStart(event.path("index").asInt(), event.path("content_block"), events);
            case "content_block_delta" -> delta(event.path("index").asInt(), event.path("delta"), events);
            case "content_block_stop" -> blockStop(event.path("index").asInt(), events);
            case "message_delta" -> {
                spent(event.path("usage"), events);
                JsonNode reason = event.path("delta").path("stop_reason");
                if (reason.isTextual()) {
                    finished = true;
                    events.accept(new TokenEvent.Finish(0, finishReason(reason.textValue())));
                }
            }
            case "message_stop" -> {
                if (finished) {
                    over = true;
                    events.accept(new TokenEvent.End());
                } else {
                    stop(events, JobFailure.Code.STREAM_BROKEN, "ended its stream without a stop_reason");
                }
            }
            default -> {}
        }
    }

    private static String finishReason(String stopReason) {
        return switch (stopReason) {
            case "max_tokens", "model_context_window_exceeded" -> "length";
            case "tool_use" -> "tool_calls";
            case "refusal" -> "content_filter";
            default -> "stop";
        };
    }

    /**
     * Counts are of the whole answer so far; a later count that is zero or absent says nothing new. What was read from the
     * cache or written to it is part of the prompt.
     */
    private void spent(JsonNode usage, Consumer<TokenEvent> events) {
        if (!usage.isObject()) {
            return;
        }
        freshTokens = count(usage.path("input_tokens"), freshTokens);
        writtenToCache = count(usage.path("cache_creation_input_tokens"), writtenToCache);
        readFromCache = count(usage.path("cache_read_input_tokens"), readFromCache);
        completionTokens = count(usage.path("output_tokens"), completionTokens);
        events.accept(new TokenEvent.Spent(
                new Usage(freshTokens + writtenToCache + readFromCache, completionTokens, readFromCache)));
    }

    private static long count(JsonNode said, long known) {
        return said.asLong() > 0 ? said.asLong() : known;
    }

    private void blockStart(int index, JsonNode block, Consumer<TokenEvent> events) {
        if (block.path("type").asText("").equals("tool_use")) {
            int call = calls.size();
            calls.put(index, call);
            JsonNode input = block.path("input");
            String arguments = input.isObject() && !input.isEmpty() ? input.toString() : "";
            argued.put(index, !arguments.isEmpty());
            events.accept(new TokenEvent.ToolCall(
                    0, call, block.path("id").textValue(), block.path("name").textValue(), arguments));
        } else {
            if (block instanceof ObjectNode own && block.path("type").asText("").endsWith("thinking")) {
                thinking.put(index, own.deepCopy());
            }
            text(TokenEvent.Field.CONTENT, block.path("text"), events);
            text(TokenEvent.Field.REASONING, block.path("thinking"), events);
        }
    }

    private void delta(int index, JsonNode delta, Consumer<TokenEvent> events) {
        text(TokenEvent.Field.CONTENT, delta.path("text"), events);
        text(TokenEvent.Field.REASONING, delta.path("thinking"), events);
        ObjectNode thought = thinking.get(index);
        if (thought != null) {
            append(thought, "thinking", delta);
            append(thought, "signature", delta);
        }
        String arguments = delta.path("partial_json").asText("");
        Integer call = calls.get(index);
        if (call != null && !arguments.isEmpty()) {
            argued.put(index, true);
            events.accept(new TokenEvent.ToolCall(0, call, null, null, arguments));
        }
    }

    private static void append(ObjectNode block, String field, JsonNode delta) {
        if (delta.path(field).isTextual()) {
            block.put(field, block.path(field).asText("") + delta.path(field).textValue());
        }
    }

    /** A call without arguments has an empty object in OpenAI's form. Thinking that nobody signed is nothing to bring back. */
    private void blockStop(int index, Consumer<TokenEvent> events) {
        ObjectNode thought = thinking.remove(index);
        if (thought != null
                && !(thought.path("signature").asText("") + thought.path("data").asText("")).isEmpty()) {
            events.accept(new TokenEvent.Thinking(0, thought));
        }
        Integer call = calls.get(index);
        if (call != null && Boolean.FALSE.equals(argued.get(index))) {
            events.accept(new TokenEvent.ToolCall(0, call, null, null, "{}"));
        }
    }

    private static void text(TokenEvent.Field field, @Nullable JsonNode text, Consumer<TokenEvent> events) {
        if (text != null && text.isTextual() && !text.textValue().isEmpty()) {
            events.accept(new TokenEvent.Text(0, field, text.textValue()));
        }
    }

    private void stop(Consumer<TokenEvent> events, JobFailure.Code code, String message) {
        over = true;
        events.accept(new TokenEvent.Broken(JobFailure.of(code, message)));
    }
}
