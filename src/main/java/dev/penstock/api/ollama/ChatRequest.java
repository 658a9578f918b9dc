package dev.penstock.api.ollama;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.wire.Fields;
import dev.penstock.wire.InvalidField;
import dev.penstock.wire.Json;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Translates a request to {@code /api/chat} into the body of a direct call. {@code node.protocol.OllamaRequest} does the
 * reverse.
 */
final class ChatRequest {
    /** The tool calls of the messages so far that have no answer yet. */
    private final List<OpenCall> open = new ArrayList<>();

    private int calls;

    private record OpenCall(String id, String name) {}

    private ChatRequest() {}

    /**
     * Returns the body of a direct call.
     *
     * @param model the name of the model in jobs
     * @param allowedFields the fields that the configuration allows in jobs
     */
    static Asked of(OllamaBody request, String model, Set<String> allowedFields) throws InvalidField {
        JsonNode messages = request.get("messages");
        if (messages == null || (messages.isArray() && messages.isEmpty())) {
            return new Asked.NoPrompt(request.reasonWithoutPrompt());
        }
        if (!messages.isArray()) {
            throw new InvalidField("messages", "expected an array, got " + Fields.kind(messages));
        }
        ObjectNode call = request.call(model, allowedFields);
        ArrayNode translated = call.putArray("messages");
        ChatRequest chat = new ChatRequest();
        for (int i = 0; i < messages.size(); i++) {
            translated.add(chat.message("messages[%d]".formatted(i), messages.get(i)));
        }
        JsonNode tools = request.get("tools");
        if (tools != null && !(tools.isArray() && tools.isEmpty())) {
            call.set("tools", tools);
        }
        request.chatLogprobs(call);
        return new Asked.Call(call);
    }

    private ObjectNode message(String path, JsonNode given) throws InvalidField {
        if (!given.isObject()) {
            throw new InvalidField(path, "expected an object, got " + Fields.kind(given));
        }
        Fields fields = new Fields(path + ".", given);
        String role = fields.text("role").orElse("");
        if (role.isEmpty()) {
            throw new InvalidField(path + ".role", "is needed");
        }
        ObjectNode message = JsonNodeFactory.instance.objectNode().put("role", role);
        content(message, fields.text("content").orElse(""), OllamaBody.images(path + ".images", given.get("images")));
        String thinking = fields.text("thinking").orElse("");
        if (!thinking.isEmpty()) {
            message.put("reasoning", thinking);
        }
        if (fields.has("tool_calls")) {
            toolCalls(message, path + ".tool_calls", given.get("tool_calls"));
        }
        if (role.equals("tool")) {
            String name =
                    fields.text("tool_name").or(() -> textOf(given, "name")).orElse("");
            answered(message, name, fields.text("tool_call_id").orElse(null));
        }
        return message;
    }

    private static Optional<String> textOf(JsonNode object, String name) {
        return Optional.ofNullable(object.path(name).textValue());
    }

    /** Sets the content of a message: a text, or parts if there are images. */
    static void content(ObjectNode message, String text, List<String> images) {
        if (images.isEmpty()) {
            message.put("content", text);
            return;
        }
        ArrayNode parts = message.putArray("content");
        if (!text.isEmpty()) {
            parts.addObject().put("type", "text").put("text", text);
        }
        images.forEach(url -> parts.addObject()
                .put("type", "image_url")
                .putObject("image_url")
                .put("url", url));
    }

    /** Translates tool calls. Ollama has the arguments as an object, OpenAI as JSON in a string. */
    private void toolCalls(ObjectNode message, String path, JsonNode given) throws InvalidField {
        if (!given.isArray()) {
            throw new InvalidField(path, "expected an array, got " + Fields.kind(given));
        }
        ArrayNode translated = message.putArray("tool_calls");
        for (int i = 0; i < given.size(); i++) {
            JsonNode call = given.get(i);
            String function = "%s[%d].function".formatted(path, i);
            JsonNode arguments = call.path("function").path("arguments");
            String name = call.path("function").path("name").asText("");
            if (name.isEmpty()) {
                throw new InvalidField(function + ".name", "is needed");
            }
            if (!arguments.isObject() && !arguments.isMissingNode() && !arguments.isNull()) {
                throw new InvalidField(function + ".arguments", "expected an object, got " + Fields.kind(arguments));
            }
            String id = call.path("id").asText("");
            OpenCall known = new OpenCall(id.isEmpty() ? "call_" + calls : id, name);
            calls++;
            open.add(known);
            ObjectNode copy = translated.addObject().put("id", known.id()).put("type", "function");
            copy.putObject("function")
                    .put("name", name)
                    .put(
                            "arguments",
                            arguments.isObject() ? new String(Json.bytes(arguments), StandardCharsets.UTF_8) : "{}");
        }
        if (translated.isEmpty()) {
            message.remove("tool_calls");
        }
    }

    /**
     * Sets the id of the call that a tool's message answers. Ollama's clients name the tool instead of the call. Then it
     * is the first call of this tool without an answer, or else the first call without an answer.
     */
    private void answered(ObjectNode message, String tool, @Nullable String id) {
        OpenCall call = open.stream()
                .filter(known ->
                        id == null ? known.name().equals(tool) : known.id().equals(id))
                .findFirst()
                .or(() -> id == null ? open.stream().findFirst() : Optional.empty())
                .orElse(null);
        if (call != null) {
            open.remove(call);
            message.put("tool_call_id", call.id());
        } else if (id != null) {
            message.put("tool_call_id", id);
        } else if (!tool.isEmpty()) {
            message.put("tool_name", tool);
        }
    }
}
