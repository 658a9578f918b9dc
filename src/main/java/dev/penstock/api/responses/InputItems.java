package dev.penstock.api.responses;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.wire.Fields;
import dev.penstock.wire.InvalidField;
import dev.penstock.wire.Json;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Translates the input of a response into the messages of a chat. */
final class InputItems {
    private static final Set<String> ROLES = Set.of("user", "assistant", "system", "developer");

    private final List<ObjectNode> messages = new ArrayList<>();

    private InputItems() {}

    /** @param input a text, or an array of items */
    static List<ObjectNode> messages(JsonNode input) throws InvalidField {
        if (input.isTextual()) {
            return List.of(message("user").put("content", input.textValue()));
        }
        if (!input.isArray()) {
            throw new InvalidField("input", "expected a string or an array of items, got " + Fields.kind(input));
        }
        InputItems items = new InputItems();
        for (int i = 0; i < input.size(); i++) {
            items.add("input[" + i + "]", input.get(i));
        }
        return List.copyOf(items.messages);
    }

    private static ObjectNode message(String role) {
        return Json.mapper().createObjectNode().put("role", role);
    }

    private void add(String path, JsonNode item) throws InvalidField {
        if (!item.isObject()) {
            throw new InvalidField(path, "expected an object, got " + Fields.kind(item));
        }
        String type = item.path("type").asText(item.has("role") ? "message" : "");
        switch (type) {
            case "message" -> addMessage(path, item);
            case "function_call" -> addCall(path, item);
            case "function_call_output" -> addResult(path, item);
            // a chat has no place for earlier reasoning
            case "reasoning" -> {}
            case "" -> throw new InvalidField(path + ".type", "is needed");
            default ->
                throw new InvalidField(
                        path + ".type",
                        "'%s' is not available: message, function_call, function_call_output and reasoning are"
                                .formatted(type));
        }
    }

    private void addMessage(String path, JsonNode item) throws InvalidField {
        String role = text(path, item, "role");
        if (!ROLES.contains(role)) {
            throw new InvalidField(
                    path + ".role", "'%s' is none of user, assistant, system, developer".formatted(role));
        }
        JsonNode content = item.path("content");
        ObjectNode message = message(role);
        if (content.isTextual()) {
            messages.add(message.put("content", content.textValue()));
            return;
        }
        if (!content.isArray()) {
            throw new InvalidField(
                    path + ".content", "expected a string or an array of parts, got " + Fields.kind(content));
        }
        ArrayNode parts = Json.mapper().createArrayNode();
        StringBuilder refusal = new StringBuilder();
        for (int i = 0; i < content.size(); i++) {
            String place = path + ".content[" + i + "]";
            if (content.get(i).path("type").asText().equals("refusal") && role.equals("assistant")) {
                refusal.append(text(place, content.get(i), "refusal"));
            } else {
                parts.add(part(place, content.get(i), role));
            }
        }
        // many servers accept only a text where no media can be
        String joined = joined(parts);
        if (joined != null && (!role.equals("user") || parts.size() < 2)) {
            message.put("content", joined);
        } else {
            message.set("content", parts);
        }
        if (!refusal.isEmpty()) {
            message.put("refusal", refusal.toString());
        }
        messages.add(message);
    }

    /** Returns the texts of the parts as one text; null if a part is no text. */
    private static @Nullable String joined(ArrayNode parts) {
        StringBuilder text = new StringBuilder();
        for (JsonNode part : parts) {
            if (!part.path("type").asText().equals("text")) {
                return null;
            }
            text.append(part.path("text").asText());
        }
        return text.toString();
    }

    private static ObjectNode part(String path, JsonNode part, String role) throws InvalidField {
        String type = text(path, part, "type");
        ObjectNode translated = Json.mapper().createObjectNode();
        switch (type) {
            case "input_text", "output_text" -> translated.put("type", "text").put("text", text(path, part, "text"));
            case "input_image" -> {
                onlyOf(path, type, role);
                refuse(path, part, "file_id");
                ObjectNode image = translated.put("type", "image_url").putObject("image_url");
                image.put("url", text(path, part, "image_url"));
                if (part.hasNonNull("detail")) {
                    image.put("detail", text(path, part, "detail"));
                }
            }
            case "input_file" -> {
                onlyOf(path, type, role);
                refuse(path, part, "file_id");
                refuse(path, part, "file_url");
                ObjectNode file = translated.put("type", "file").putObject("file");
                file.put("file_data", text(path, part, "file_data"));
                if (part.hasNonNull("filename")) {
                    file.put("filename", text(path, part, "filename"));
                }
            }
            case "input_audio" -> {
                onlyOf(path, type, role);
                translated.put("type", "input_audio").set("input_audio", part.path("input_audio"));
            }
            default ->
                throw new InvalidField(
                        path + ".type",
                        "'%s' is not available: input_text, input_image, input_file, input_audio, output_text and refusal are"
                                .formatted(type));
        }
        return translated;
    }

    private static void onlyOf(String path, String type, String role) throws InvalidField {
        if (!role.equals("user")) {
            throw new InvalidField(path + ".type", "'%s' goes with the role user only".formatted(type));
        }
    }

    private static void refuse(String path, JsonNode part, String name) throws InvalidField {
        if (part.hasNonNull(name)) {
            throw new InvalidField(path + "." + name, "is not available: send the data itself");
        }
    }

    /** Adds a call to the assistant's message before it, or to a message of its own. */
    private void addCall(String path, JsonNode item) throws InvalidField {
        boolean follows =
                !messages.isEmpty() && messages.getLast().path("role").asText().equals("assistant");
        ObjectNode message = follows ? messages.getLast() : message("assistant").putNull("content");
        ArrayNode calls = message.withArray("tool_calls");
        ObjectNode call =
                calls.addObject().put("id", text(path, item, "call_id")).put("type", "function");
        call.putObject("function")
                .put("name", text(path, item, "name"))
                .put("arguments", text(path, item, "arguments"));
        if (!follows) {
            messages.add(message);
        }
    }

    private void addResult(String path, JsonNode item) throws InvalidField {
        ObjectNode message = message("tool").put("tool_call_id", text(path, item, "call_id"));
        JsonNode output = item.path("output");
        if (output.isTextual()) {
            messages.add(message.put("content", output.textValue()));
            return;
        }
        if (!output.isArray()) {
            throw new InvalidField(
                    path + ".output", "expected a string or an array of parts, got " + Fields.kind(output));
        }
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < output.size(); i++) {
            String place = path + ".output[" + i + "]";
            String type = text(place, output.get(i), "type");
            if (!type.equals("input_text")) {
                throw new InvalidField(place + ".type", "'%s' is not available: only input_text is".formatted(type));
            }
            text.append(text(place, output.get(i), "text"));
        }
        messages.add(message.put("content", text.toString()));
    }

    private static String text(String path, JsonNode object, String name) throws InvalidField {
        if (!object.isObject()) {
            throw new InvalidField(path, "expected an object, got " + Fields.kind(object));
        }
        return new Fields(path + ".", object)
                .text(name)
                .orElseThrow(() -> new InvalidField(path + "." + name, "is needed"));
    }
}
