package dev.penstock.api.anthropic;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.wire.Json;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;

/**
 * Reads a stream as strictly as Anthropic's protocol is written: the order of its events, the indexes and types of its
 * blocks, and the fields of each event. It builds the message as Anthropic's clients do.
 */
final class StrictReader {
    private static final Map<String, Set<String>> FIELDS = Map.of(
            "message_start", Set.of("type", "message"),
            "content_block_start", Set.of("type", "index", "content_block"),
            "content_block_delta", Set.of("type", "index", "delta"),
            "content_block_stop", Set.of("type", "index"),
            "message_delta", Set.of("type", "delta", "usage"),
            "message_stop", Set.of("type"),
            "error", Set.of("type", "error"));
    private static final Map<String, Set<String>> FIELDS_OF_BLOCK = Map.of(
            "text", Set.of("type", "text"),
            "thinking", Set.of("type", "thinking", "signature"),
            "redacted_thinking", Set.of("type", "data"),
            "tool_use", Set.of("type", "id", "name", "input"));
    private static final Map<String, String> BLOCK_OF_DELTA = Map.of(
            "text_delta", "text",
            "thinking_delta", "thinking",
            "signature_delta", "thinking",
            "input_json_delta", "tool_use");
    private static final Map<String, String> FIELD_OF_DELTA = Map.of(
            "text_delta", "text",
            "thinking_delta", "thinking",
            "signature_delta", "signature",
            "input_json_delta", "partial_json");
    private static final Set<String> FIELDS_OF_MESSAGE =
            Set.of("id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage");
    private static final Set<String> FIELDS_OF_USAGE =
            Set.of("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens");

    private final List<JsonNode> events = new ArrayList<>();
    private final ObjectNode message = Json.mapper().createObjectNode();
    private final ArrayNode content = Json.mapper().createArrayNode();
    private final StringBuilder input = new StringBuilder();
    private boolean blockOpen;
    private boolean signed;
    private String state = "begin";

    static StrictReader of(String stream) {
        StrictReader reader = new StrictReader();
        assertThat(stream).endsWith("\n\n");
        for (String event : stream.split("\n\n", -1)) {
            if (!event.isEmpty()) {
                reader.read(event);
            }
        }
        return reader;
    }

    /** Returns the data of all events. */
    List<JsonNode> events() {
        return events;
    }

    /** Returns the whole message. */
    ObjectNode message() {
        assertThat(state).as("the state after the last event").isEqualTo("message_stop");
        message.set("content", content);
        return message;
    }

    /** Returns the error that ended the stream. */
    JsonNode error() {
        assertThat(state).as("the state after the last event").isEqualTo("error");
        return events.getLast();
    }

    private void read(String event) {
        String[] lines = event.split("\n", -1);
        assertThat(lines).as(event).hasSize(2);
        assertThat(lines[0]).startsWith("event: ");
        assertThat(lines[1]).startsWith("data: ");
        JsonNode data = Objects.requireNonNull(Json.parseLenient(lines[1].substring("data: ".length())), event);
        String type = data.path("type").asText();
        assertThat(lines[0]).isEqualTo("event: " + type);
        assertThat(FIELDS).as("the type of " + event).containsKey(type);
        assertThat(names(data)).as(event).isEqualTo(FIELDS.get(type));
        events.add(data);
        switch (type) {
            case "message_start" -> start(data.path("message"));
            case "content_block_start" -> blockStart(data);
            case "content_block_delta" -> blockDelta(data);
            case "content_block_stop" -> blockStop(data);
            case "message_delta" -> delta(data);
            case "message_stop" -> assertThat(state).isEqualTo("message_delta");
            default -> {
                assertThat(state).isNotIn("message_stop", "error");
                assertThat(names(data.path("error"))).isEqualTo(Set.of("type", "message"));
            }
        }
        state = type;
    }

    private void start(JsonNode given) {
        assertThat(state).isEqualTo("begin");
        assertThat(names(given)).isEqualTo(FIELDS_OF_MESSAGE);
        assertThat(given.path("type").asText()).isEqualTo("message");
        assertThat(given.path("role").asText()).isEqualTo("assistant");
        assertThat(given.path("content")).isEmpty();
        assertThat(given.path("stop_reason").isNull()).isTrue();
        assertThat(names(given.path("usage"))).isEqualTo(FIELDS_OF_USAGE);
        message.setAll((ObjectNode) given);
    }

    private void blockStart(JsonNode data) {
        assertThat(state).isIn("message_start", "content_block_stop");
        assertThat(data.path("index").asInt(-1)).isEqualTo(content.size());
        ObjectNode block = data.path("content_block").deepCopy();
        String type = block.path("type").asText();
        assertThat(FIELDS_OF_BLOCK).containsKey(type);
        assertThat(names(block)).isEqualTo(FIELDS_OF_BLOCK.get(type));
        if (type.equals("tool_use")) {
            assertThat(block.path("id").asText()).isNotEmpty();
            assertThat(block.path("name").asText()).isNotEmpty();
            assertThat(block.path("input").isObject()).isTrue();
            assertThat(block.path("input")).isEmpty();
        }
        content.add(block);
        blockOpen = true;
        signed = false;
        input.setLength(0);
    }

    private void blockDelta(JsonNode data) {
        assertThat(blockOpen).isTrue();
        assertThat(data.path("index").asInt(-1)).isEqualTo(content.size() - 1);
        JsonNode delta = data.path("delta");
        String type = delta.path("type").asText();
        assertThat(BLOCK_OF_DELTA).containsKey(type);
        String field = FIELD_OF_DELTA.get(type);
        assertThat(names(delta)).isEqualTo(Set.of("type", field));
        assertThat(delta.path(field).isTextual()).isTrue();
        ObjectNode block = (ObjectNode) content.get(content.size() - 1);
        assertThat(block.path("type").asText()).isEqualTo(BLOCK_OF_DELTA.get(type));
        assertThat(signed).as("a signature is the last piece").isFalse();
        signed = type.equals("signature_delta");
        if (type.equals("input_json_delta")) {
            input.append(delta.path(field).asText());
        } else {
            block.put(field, block.path(field).asText() + delta.path(field).asText());
        }
    }

    private void blockStop(JsonNode data) {
        assertThat(blockOpen).isTrue();
        assertThat(data.path("index").asInt(-1)).isEqualTo(content.size() - 1);
        blockOpen = false;
        if (!input.isEmpty()) {
            JsonNode arguments = Json.parseLenient(input.toString());
            // clients keep what a message that the limit cut has of its arguments
            ((ObjectNode) content.get(content.size() - 1))
                    .set("input", arguments == null ? Json.mapper().createObjectNode() : arguments);
        }
    }

    private void delta(JsonNode data) {
        assertThat(state).isIn("message_start", "content_block_stop");
        assertThat(names(data.path("delta"))).isEqualTo(Set.of("stop_reason", "stop_sequence"));
        assertThat(names(data.path("usage"))).isEqualTo(FIELDS_OF_USAGE);
        assertThat(data.path("delta").path("stop_reason").asText())
                .isIn("end_turn", "max_tokens", "stop_sequence", "tool_use", "refusal");
        message.setAll((ObjectNode) data.path("delta"));
        message.set("usage", data.path("usage"));
    }

    private static Set<String> names(JsonNode object) {
        Set<String> names = new TreeSet<>();
        object.fieldNames().forEachRemaining(names::add);
        return names;
    }

    /** Returns the events of each block by the block's index, as one line. */
    Map<Integer, String> blocks() {
        Map<Integer, String> blocks = new LinkedHashMap<>();
        for (JsonNode event : events) {
            if (event.has("index")) {
                String piece = event.has("delta")
                        ? event.path("delta").path("type").asText()
                        : event.path("type").asText();
                blocks.merge(event.path("index").asInt(), piece, (one, other) -> one + " " + other);
            }
        }
        return blocks;
    }
}
