package dev.penstock.node.protocol.answer;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.job.JobFailure;
import dev.penstock.job.TokenEvent;
import dev.penstock.job.Usage;
import dev.penstock.wire.Json;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** Parses the events of Anthropic's messages API. An answer is complete after a stop_reason and then message_stop. */
public final class AnthropicStream implements AnswerParser {
    /** The fields of an event that this parser reads, and the fields without text of the answer. */
    private static final Set<String> OF_EVENT =
            Set.of("message", "content_block", "delta", "error", "stop_reason", "content", "container");

    private static final Set<String> OF_BLOCK =
            Set.of("text", "thinking", "data", "input", "partial_json", "container", "stop_reason");

    private final ToolCalls calls = new ToolCalls(0);
    /** Maps the index of a content block with a tool call to the index of the call. */
    private final Map<Integer, Integer> open = new HashMap<>();
    /** Maps the index of a content block with a tool call to whether its arguments have begun. */
    private final Map<Integer, Boolean> argued = new HashMap<>();
    /**
     * The indexes of content blocks for tools that the server runs itself. The text of these blocks is not part of the
     * answer.
     */
    private final Set<Integer> ofServer = new HashSet<>();
    /** The thinking blocks that have not ended yet. The API expects each block back as a whole, with its signature. */
    private final Map<Integer, ObjectNode> thinking = new HashMap<>();

    private final ReportedModel model = new ReportedModel();
    private long freshTokens;
    private long writtenToCache;
    private long readFromCache;
    private long completionTokens;
    private boolean begun;
    private boolean finished;
    private boolean over;

    @Override
    public Cutter cutter(int longest, Consumer<TokenEvent> events) {
        return new EventSplitter(longest, value -> line(value, events), words -> failed(words, events));
    }

    /** Parses the data of an event. */
    @Override
    public void line(String data, Consumer<TokenEvent> events) {
        if (over || data.isBlank()) {
            return;
        }
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
        if (ServerErrors.isError(event)) {
            stop(events, ServerErrors.midStream(event), ServerErrors.failing(event, begun));
            return;
        }
        begun = true;
        try {
            event(event, events);
        } catch (UnreadText e) {
            stop(events, JobFailure.Code.NODE_ERROR, "sent text in a field that is not known: " + e.what());
        }
    }

    private void event(JsonNode event, Consumer<TokenEvent> events) throws UnreadText {
        UnreadText.check("", event, OF_EVENT);
        int index = event.path("index").asInt();
        switch (event.path("type").asText("")) {
            case "message_start" -> begin(event.path("message"), events);
            // the server sent a whole answer instead of a stream
            case "message" -> {
                begin(event, events);
                finish(event, events);
                end(events);
            }
            case "content_block_start" -> blockStart(index, event.path("content_block"), events);
            case "content_block_delta" -> delta(index, event.path("delta"), events);
            case "content_block_stop" -> blockStop(index, events);
            case "message_delta" -> {
                UnreadText.check("delta", event.path("delta"), OF_BLOCK);
                spent(event.path("usage"), events);
                finish(event.path("delta"), events);
            }
            case "message_stop" -> end(events);
            default -> UnreadText.check("", event, Set.of());
        }
    }

    private void begin(JsonNode message, Consumer<TokenEvent> events) throws UnreadText {
        model.report(message.path("model"), events);
        events.accept(new TokenEvent.Role(0));
        calls.of(message.path("id").asText(""));
        spent(message.path("usage"), events);
        UnreadText.check("message", message, OF_EVENT);
        int at = 0;
        for (JsonNode block : message.path("content")) {
            blockStart(at, block, events);
            blockStop(at++, events);
        }
    }

    /** @param ending the object with the fields stop_reason and stop_sequence */
    private void finish(JsonNode ending, Consumer<TokenEvent> events) {
        JsonNode reason = ending.path("stop_reason");
        if (over || !reason.isTextual() || reason.textValue().isBlank()) {
            return;
        }
        String whole = FinishReasons.openAi(reason.textValue());
        if (whole == null) {
            stop(
                    events,
                    JobFailure.Code.NODE_ERROR,
                    "did not finish the answer: stop_reason " + ServerErrors.shorten(reason.textValue()));
            return;
        }
        finished = true;
        calls.open(events);
        events.accept(
                new TokenEvent.Finish(0, whole, ending.path("stop_sequence").textValue()));
    }

    /** Handles the end of the body. A clean end has the same effect as message_stop. */
    @Override
    public void end(Consumer<TokenEvent> events) {
        if (over) {
            return;
        }
        if (finished) {
            over = true;
            events.accept(new TokenEvent.End());
        } else {
            stop(events, JobFailure.Code.STREAM_BROKEN, "ended its stream without a stop_reason");
        }
    }

    @Override
    public void failed(String words, Consumer<TokenEvent> events) {
        if (!over) {
            over = true;
            AnswerParser.super.failed(words, events);
        }
    }

    /**
     * Reports the usage. Each count covers the whole answer so far. If a later count is zero or missing, the earlier
     * count applies. Tokens that were read from the cache or written to it belong to the prompt.
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

    private static long count(JsonNode reported, long known) {
        long count = new Usage(reported.asLong(), 0).promptTokens();
        return count > 0 ? count : known;
    }

    private void blockStart(int index, JsonNode block, Consumer<TokenEvent> events) throws UnreadText {
        String type = block.path("type").asText("");
        open.remove(index);
        argued.remove(index);
        ofServer.remove(index);
        if (type.equals("tool_use")) {
            UnreadText.check("content_block", block, OF_BLOCK);
            JsonNode input = block.path("input");
            String arguments = input.isObject() && !input.isEmpty() ? input.toString() : "";
            argued.put(index, !arguments.isEmpty());
            open.put(index, calls.size());
            // each block is a new call, even if its index is not new
            calls.add(
                    calls.size(),
                    block.path("id").asText(""),
                    block.path("name").asText(""),
                    arguments,
                    events);
        } else if (type.endsWith("_tool_use") || type.endsWith("_tool_result")) {
            ofServer.add(index);
        } else if (type.isEmpty() || type.equals("text") || type.endsWith("thinking")) {
            UnreadText.check("content_block", block, OF_BLOCK);
            if (block instanceof ObjectNode own && type.endsWith("thinking")) {
                thinking.put(index, own.deepCopy());
            }
            text(TokenEvent.Field.CONTENT, block.path("text"), events);
            text(TokenEvent.Field.REASONING, block.path("thinking"), events);
        } else {
            UnreadText.check("content_block of type " + type, block, Set.of());
        }
    }

    private void delta(int index, JsonNode delta, Consumer<TokenEvent> events) throws UnreadText {
        if (ofServer.contains(index)) {
            return;
        }
        UnreadText.check("delta", delta, OF_BLOCK);
        text(TokenEvent.Field.CONTENT, delta.path("text"), events);
        text(TokenEvent.Field.REASONING, delta.path("thinking"), events);
        ObjectNode thought = thinking.get(index);
        if (thought != null) {
            append(thought, "thinking", delta);
            append(thought, "signature", delta);
        }
        String arguments = delta.path("partial_json").asText("");
        if (arguments.isEmpty()) {
            return;
        }
        Integer call = open.get(index);
        if (call == null) {
            throw new UnreadText("delta.partial_json (without a block of type tool_use)");
        }
        argued.put(index, true);
        calls.add(call, "", "", arguments, events);
    }

    private static void append(ObjectNode block, String field, JsonNode delta) {
        if (delta.path(field).isTextual()) {
            block.put(field, block.path(field).asText("") + delta.path(field).textValue());
        }
    }

    /**
     * Ends a content block. A call without arguments gets an empty object, as OpenAI's form requires. Thinking without
     * a signature is not reported as a block.
     */
    private void blockStop(int index, Consumer<TokenEvent> events) throws UnreadText {
        ObjectNode thought = thinking.remove(index);
        if (thought != null
                && !(thought.path("signature").asText("") + thought.path("data").asText("")).isEmpty()) {
            events.accept(new TokenEvent.Thinking(0, thought));
        }
        Integer call = open.get(index);
        if (call != null && Boolean.FALSE.equals(argued.get(index))) {
            calls.add(call, "", "", "{}", events);
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
