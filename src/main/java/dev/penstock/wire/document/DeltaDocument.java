package dev.penstock.wire.document;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.JobEvent;
import dev.penstock.job.TokenEvent;
import dev.penstock.wire.Json;
import java.io.IOException;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** Writes the choices of a chunk event: the deltas since the last chunk, merged per choice and field. */
final class DeltaDocument {
    private DeltaDocument() {}

    private static final class Merged {
        final Map<TokenEvent.Field, StringBuilder> text = new EnumMap<>(TokenEvent.Field.class);
        final List<TokenEvent.ToolCall> toolCalls = new ArrayList<>();
        final List<Object> thinking = new ArrayList<>();
        final List<Object> logprobs = new ArrayList<>();

        @Nullable
        String role;

        @Nullable
        String finishReason;
    }

    static void writeChoices(JsonGenerator json, JobEvent.Chunk chunk, boolean chat) throws IOException {
        json.writeArrayFieldStart("choices");
        for (Map.Entry<Integer, Merged> choice : merge(chunk.deltas()).entrySet()) {
            Merged merged = choice.getValue();
            json.writeStartObject();
            json.writeNumberField("index", choice.getKey());
            if (chat) {
                json.writeObjectFieldStart("delta");
                if (merged.role != null) {
                    json.writeStringField("role", merged.role);
                }
                for (Map.Entry<TokenEvent.Field, StringBuilder> text : merged.text.entrySet()) {
                    json.writeStringField(
                            text.getKey().wireName(), text.getValue().toString());
                }
                writeToolCalls(json, merged.toolCalls);
                writeThinking(json, merged.thinking);
                json.writeEndObject();
            } else {
                StringBuilder text = merged.text.get(TokenEvent.Field.CONTENT);
                json.writeStringField("text", text == null ? "" : text.toString());
            }
            writeLogprobs(json, merged.logprobs);
            json.writeStringField("finish_reason", merged.finishReason);
            json.writeEndObject();
        }
        json.writeEndArray();
    }

    /** Writes whole thinking blocks in their order. The blocks of all chunks together are the blocks of the message. */
    static void writeThinking(JsonGenerator json, List<Object> blocks) throws IOException {
        if (!blocks.isEmpty()) {
            json.writePOJOField("thinking_blocks", blocks);
        }
    }

    /**
     * Merges log probabilities. Servers send them with each piece as {@code {"content":[…]}}, and this method writes
     * one such list.
     */
    static void writeLogprobs(JsonGenerator json, List<Object> pieces) throws IOException {
        if (pieces.isEmpty()) {
            return;
        }
        json.writeObjectFieldStart("logprobs");
        Map<String, List<JsonNode>> lists = new TreeMap<>();
        for (Object piece : pieces) {
            JsonNode node = Json.mapper().valueToTree(piece);
            for (Map.Entry<String, JsonNode> field : node.properties()) {
                List<JsonNode> list = lists.computeIfAbsent(field.getKey(), _ -> new ArrayList<>());
                field.getValue().forEach(list::add);
            }
        }
        for (Map.Entry<String, List<JsonNode>> list : lists.entrySet()) {
            json.writePOJOField(list.getKey(), list.getValue());
        }
        json.writeEndObject();
    }

    private static Map<Integer, Merged> merge(List<TokenEvent> deltas) {
        Map<Integer, Merged> choices = new TreeMap<>();
        for (TokenEvent delta : deltas) {
            switch (delta) {
                case TokenEvent.Role role -> choice(choices, role.choice()).role = role.role();
                case TokenEvent.Text text ->
                    choice(choices, text.choice())
                            .text
                            .computeIfAbsent(text.field(), _ -> new StringBuilder())
                            .append(text.text());
                case TokenEvent.ToolCall call ->
                    choice(choices, call.choice()).toolCalls.add(call);
                case TokenEvent.Thinking thinking ->
                    choice(choices, thinking.choice()).thinking.add(thinking.block());
                case TokenEvent.Logprobs logprobs ->
                    choice(choices, logprobs.choice()).logprobs.add(logprobs.value());
                case TokenEvent.Finish finish -> choice(choices, finish.choice()).finishReason = finish.reason();
                case TokenEvent.Model _,
                        TokenEvent.Embedding _,
                        TokenEvent.Scored _,
                        TokenEvent.Spent _,
                        TokenEvent.End _,
                        TokenEvent.Broken _ -> {}
            }
        }
        return choices;
    }

    private static Merged choice(Map<Integer, Merged> choices, int index) {
        return choices.computeIfAbsent(index, _ -> new Merged());
    }

    private static void writeToolCalls(JsonGenerator json, List<TokenEvent.ToolCall> pieces) throws IOException {
        if (pieces.isEmpty()) {
            return;
        }
        json.writeArrayFieldStart("tool_calls");
        for (TokenEvent.ToolCall piece : pieces) {
            json.writeStartObject();
            json.writeNumberField("index", piece.index());
            if (piece.id() != null) {
                json.writeStringField("id", piece.id());
                json.writeStringField("type", "function");
            }
            json.writeObjectFieldStart("function");
            if (piece.name() != null) {
                json.writeStringField("name", piece.name());
            }
            json.writeStringField("arguments", piece.arguments());
            json.writeEndObject();
            json.writeEndObject();
        }
        json.writeEndArray();
    }
}
