package dev.penstock.api.responses;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.wire.Json;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/**
 * Reads a streamed response as strictly as OpenAI's clients do: the first event is {@code response.created}, the numbers
 * have no gaps, each delta belongs to an item and a part that were added before, and the end has exactly the items that
 * the events built.
 */
final class StrictReader {
    private final List<String> types = new ArrayList<>();
    private ObjectNode response = Json.mapper().createObjectNode();
    private long next;
    private boolean ended;

    /** Reads server-sent events. */
    StrictReader read(String events) {
        for (String block : events.split("\n\n", -1)) {
            if (!block.isEmpty() && !block.startsWith(":")) {
                String[] lines = block.split("\n", -1);
                assertThat(lines).hasSize(2);
                assertThat(lines[0]).startsWith("event: ");
                assertThat(lines[1]).startsWith("data: ");
                JsonNode data = Objects.requireNonNull(Json.parseLenient(lines[1].substring(6)), block);
                assertThat(data.path("type").asText()).isEqualTo(lines[0].substring(7));
                accept(data);
            }
        }
        return this;
    }

    StrictReader read(List<StreamEvent> events) {
        events.forEach(event -> read(event.text()));
        return this;
    }

    List<String> types() {
        return types;
    }

    ObjectNode response() {
        return response;
    }

    boolean hasEnded() {
        return ended;
    }

    /** Returns the text of all messages. */
    String text() {
        StringBuilder text = new StringBuilder();
        response.path("output")
                .forEach(item -> item.path("content").forEach(part -> {
                    if (part.path("type").asText().equals("output_text")) {
                        text.append(part.path("text").asText());
                    }
                }));
        return text.toString();
    }

    private void accept(JsonNode event) {
        String type = event.path("type").asText();
        assertThat(ended).as("nothing follows the end, but %s does", type).isFalse();
        assertThat(event.path("sequence_number").isIntegralNumber()).isTrue();
        assertThat(event.path("sequence_number").asLong()).isEqualTo(next);
        next++;
        assertThat(types.isEmpty()).isEqualTo(type.equals("response.created"));
        types.add(type);
        switch (type) {
            case "response.created", "response.queued", "response.in_progress" -> {
                isResponse(event.path("response"));
                response = event.path("response").deepCopy();
                assertThat(response.path("output")).isEmpty();
            }
            case "response.output_item.added" -> {
                assertThat(event.path("output_index").asInt()).isEqualTo(output().size());
                assertThat(event.path("item").path("status").asText()).isEqualTo("in_progress");
                output().add(event.path("item").deepCopy());
            }
            case "response.output_item.done" -> {
                ObjectNode item = item(event, event.path("item").path("id").asText());
                ObjectNode done = event.path("item").deepCopy();
                assertThat(done.path("status").asText()).isIn("completed", "incomplete");
                assertThat(without(done, "status")).isEqualTo(without(item, "status"));
                output().set(event.path("output_index").asInt(), done);
            }
            case "response.content_part.added" -> {
                ObjectNode item = item(event);
                ArrayNode content = (ArrayNode) item.path("content");
                assertThat(event.path("content_index").asInt()).isEqualTo(content.size());
                content.add(event.path("part").deepCopy());
            }
            case "response.content_part.done" ->
                assertThat((JsonNode) part(event)).isEqualTo(event.path("part"));
            case "response.reasoning_summary_part.added" -> {
                ArrayNode summary = (ArrayNode) item(event).path("summary");
                assertThat(event.path("summary_index").asInt()).isEqualTo(summary.size());
                summary.add(event.path("part").deepCopy());
            }
            case "response.reasoning_summary_part.done" ->
                assertThat((JsonNode) summary(event)).isEqualTo(event.path("part"));
            case "response.output_text.delta" -> {
                assertThat(event.path("logprobs").isArray()).isTrue();
                ((ArrayNode) part(event).path("logprobs")).addAll((ArrayNode) event.path("logprobs"));
                append(part(event), "output_text", "text", event);
            }
            case "response.output_text.done" -> same(part(event), "text", event);
            case "response.refusal.delta" -> append(part(event), "refusal", "refusal", event);
            case "response.refusal.done" -> same(part(event), "refusal", event);
            case "response.reasoning_text.delta" -> append(part(event), "reasoning_text", "text", event);
            case "response.reasoning_text.done" -> same(part(event), "text", event);
            case "response.reasoning_summary_text.delta" -> append(summary(event), "summary_text", "text", event);
            case "response.reasoning_summary_text.done" -> same(summary(event), "text", event);
            case "response.function_call_arguments.delta" -> append(item(event), "function_call", "arguments", event);
            case "response.function_call_arguments.done" -> same(item(event), "arguments", event);
            case "response.completed", "response.incomplete", "response.failed" -> {
                isResponse(event.path("response"));
                ArrayNode built = output().deepCopy();
                built.forEach(item -> ((ObjectNode) item).put("status", closed(item)));
                response = event.path("response").deepCopy();
                assertThat((JsonNode) output()).isEqualTo(built);
                ended = true;
            }
            case "error" -> {
                assertThat(event.path("message").isTextual()).isTrue();
                ended = true;
            }
            default -> throw new AssertionError("OpenAI has no event " + type);
        }
    }

    private static String closed(JsonNode item) {
        String status = item.path("status").asText();
        return status.equals("in_progress") ? "incomplete" : status;
    }

    private static ObjectNode without(ObjectNode object, String name) {
        ObjectNode rest = object.deepCopy();
        rest.remove(name);
        return rest;
    }

    private ArrayNode output() {
        return (ArrayNode) response.path("output");
    }

    private ObjectNode item(JsonNode event) {
        return item(event, event.path("item_id").asText());
    }

    private ObjectNode item(JsonNode event, String id) {
        ObjectNode item = (ObjectNode) output().get(event.path("output_index").asInt());
        assertThat(item.path("id").asText()).isEqualTo(id).isNotEmpty();
        assertThat(item.path("status").asText()).isEqualTo("in_progress");
        return item;
    }

    private ObjectNode part(JsonNode event) {
        return (ObjectNode)
                item(event).path("content").get(event.path("content_index").asInt());
    }

    private ObjectNode summary(JsonNode event) {
        return (ObjectNode)
                item(event).path("summary").get(event.path("summary_index").asInt());
    }

    private static void append(ObjectNode to, String type, String field, JsonNode event) {
        assertThat(to.path("type").asText()).isEqualTo(type);
        assertThat(event.path("delta").asText()).isNotEmpty();
        to.put(field, to.path(field).asText() + event.path("delta").asText());
    }

    private static void same(ObjectNode built, String field, JsonNode event) {
        assertThat(event.path(field).isTextual()).isTrue();
        assertThat(event.path(field)).isEqualTo(built.path(field));
    }

    /** Checks the fields that OpenAI's clients require. */
    private static void isResponse(JsonNode response) {
        assertThat(response.path("id").asText()).startsWith("resp_");
        assertThat(response.path("object").asText()).isEqualTo("response");
        assertThat(response.path("created_at").isNumber()).isTrue();
        assertThat(response.path("model").isTextual()).isTrue();
        assertThat(response.path("output").isArray()).isTrue();
        assertThat(response.path("parallel_tool_calls").isBoolean()).isTrue();
        assertThat(response.path("tools").isArray()).isTrue();
        assertThat(response.has("tool_choice")).isTrue();
        assertThat(response.path("status").asText())
                .isIn("queued", "in_progress", "completed", "incomplete", "failed", "cancelled");
    }
}
