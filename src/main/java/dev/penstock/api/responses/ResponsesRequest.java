package dev.penstock.api.responses;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.wire.Fields;
import dev.penstock.wire.InvalidField;
import dev.penstock.wire.Json;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A request for a response, translated into the request for a chat completion. It is a pure function of the document.
 *
 * @param asked the request without its input and without nulls
 * @param chat the request for the chat without its messages
 * @param input the messages that the input contains
 * @param previous the id of the response that this one continues; null if there is none
 * @param background whether the caller does not wait for the answer
 * @param store whether the response is kept; null if the request does not say
 */
record ResponsesRequest(
        ObjectNode asked,
        ObjectNode chat,
        List<ObjectNode> input,
        @Nullable String previous,
        boolean background,
        boolean stream,
        @Nullable Boolean store) {
    private static final String LOGPROBS = "message.output_text.logprobs";

    /** Fields of OpenAI's API that have no equivalent here. */
    private static final List<String> UNAVAILABLE = List.of(
            "access_programs",
            "background_options",
            "context_management",
            "conversation",
            "image",
            "max_tool_calls",
            "moderation",
            "prompt",
            "prompt_cache_options");

    /** Fields of a chat that a response has under another name. */
    private static final Map<String, String> RENAMED = Map.of(
            "messages",
            "input",
            "max_tokens",
            "max_output_tokens",
            "max_completion_tokens",
            "max_output_tokens",
            "response_format",
            "text.format",
            "reasoning_effort",
            "reasoning.effort",
            "verbosity",
            "text.verbosity",
            "logprobs",
            "include");

    /** Fields of a chat that would change the number or the form of the answers. */
    private static final List<String> OF_CHAT_ONLY =
            List.of("n", "images", "system", "functions", "function_call", "modalities", "audio");

    /** Fields that this class translates. All other fields pass unchanged. */
    private static final Set<String> TRANSLATED = Set.of(
            "background",
            "include",
            "input",
            "instructions",
            "max_output_tokens",
            "parallel_tool_calls",
            "previous_response_id",
            "reasoning",
            "store",
            "stream",
            "stream_options",
            "text",
            "tool_choice",
            "tools",
            "truncation");

    ResponsesRequest {
        asked = asked.deepCopy();
        chat = chat.deepCopy();
        input = input.stream().map(ObjectNode::deepCopy).toList();
    }

    /** Parses a document. */
    static ResponsesRequest parse(JsonNode document) throws InvalidField {
        if (!(document instanceof ObjectNode whole)) {
            throw new InvalidField("$", "expected a JSON object, got " + Fields.kind(document));
        }
        ObjectNode root = Json.mapper().createObjectNode();
        whole.properties().forEach(field -> {
            if (!field.getValue().isNull()) {
                root.set(field.getKey(), field.getValue());
            }
        });
        refuse(root);
        Fields fields = new Fields("", root);
        checkTypes(root, fields);
        if (!root.has("input")) {
            throw new InvalidField("input", "is needed");
        }
        List<ObjectNode> input = InputItems.messages(root.get("input"));
        if (input.isEmpty()) {
            throw new InvalidField("input", "at least one message is needed");
        }
        ObjectNode chat = chat(root, fields);
        ObjectNode asked = root.deepCopy().without("input");
        asked.remove("job");
        return new ResponsesRequest(
                asked,
                chat,
                input,
                fields.text("previous_response_id").orElse(null),
                fields.flag("background").orElse(false),
                fields.flag("stream").orElse(false),
                fields.flag("store").orElse(null));
    }

    /**
     * Returns the request for the chat.
     *
     * @param before the messages of the conversation before this request; empty if it begins one
     */
    ObjectNode chat(List<ObjectNode> before) {
        ObjectNode body = chat.deepCopy();
        ArrayNode messages = body.putArray("messages");
        if (asked.has("instructions")) {
            messages.addObject()
                    .put("role", "system")
                    .put("content", asked.path("instructions").textValue());
        }
        before.forEach(messages::add);
        input.forEach(messages::add);
        return body;
    }

    private static void refuse(ObjectNode root) throws InvalidField {
        for (String name : UNAVAILABLE) {
            if (root.has(name)) {
                throw new InvalidField(name, "is not available in this version: leave it out");
            }
        }
        for (Map.Entry<String, String> name : RENAMED.entrySet()) {
            if (root.has(name.getKey())) {
                throw new InvalidField(name.getKey(), "is %s here".formatted(name.getValue()));
            }
        }
        for (String name : OF_CHAT_ONLY) {
            if (root.has(name)) {
                throw new InvalidField(name, "goes with /v1/chat/completions only");
            }
        }
        if (!root.path("truncation").asText("disabled").equals("disabled")) {
            throw new InvalidField(
                    "truncation",
                    "only 'disabled' is available: the on-overflow of a routing rule can drop the oldest messages");
        }
        if (root.path("stream_options").path("include_obfuscation").asBoolean()) {
            throw new InvalidField("stream_options.include_obfuscation", "is not available: leave it out");
        }
        new Fields("stream_options.", root.get("stream_options")).onlyKnown(List.of("include_obfuscation"));
        for (String name : List.of("id", "reply_topic", "response")) {
            if (root.path("job").hasNonNull(name)) {
                throw new InvalidField("job." + name, "is not available here: leave it out");
            }
        }
    }

    private static void checkTypes(ObjectNode root, Fields fields) throws InvalidField {
        for (String name : List.of("model", "instructions", "previous_response_id", "service_tier", "truncation")) {
            fields.text(name);
        }
        for (String name : List.of("background", "stream", "store", "parallel_tool_calls")) {
            fields.flag(name);
        }
        fields.positiveInteger("max_output_tokens");
        Fields.checkOptional(root, "reasoning", JsonNode::isObject, "an object");
        Fields.checkOptional(root, "text", JsonNode::isObject, "an object");
        Fields.checkOptional(root, "tools", JsonNode::isArray, "an array");
        Fields.checkOptional(root, "include", JsonNode::isArray, "an array");
        Fields.checkOptional(root, "stream_options", JsonNode::isObject, "an object");
        Fields.checkOptional(root, "job", JsonNode::isObject, "an object");
    }

    private static ObjectNode chat(ObjectNode root, Fields fields) throws InvalidField {
        ObjectNode chat = Json.mapper().createObjectNode();
        for (Map.Entry<String, JsonNode> field : root.properties()) {
            if (!TRANSLATED.contains(field.getKey())) {
                chat.set(field.getKey(), field.getValue());
            }
        }
        fields.positiveInteger("max_output_tokens").ifPresent(most -> chat.put("max_completion_tokens", most));
        includes(root, chat);
        reasoning(root, chat);
        text(root, chat);
        tools(root, fields, chat);
        return chat;
    }

    private static void includes(ObjectNode root, ObjectNode chat) throws InvalidField {
        boolean logprobs = root.has("top_logprobs");
        for (JsonNode name : root.path("include")) {
            if (!name.asText().equals(LOGPROBS)) {
                throw new InvalidField(
                        "include", "'%s' is not available: only %s is".formatted(name.asText(), LOGPROBS));
            }
            logprobs = true;
        }
        if (logprobs) {
            chat.put("logprobs", true);
        }
    }

    private static void reasoning(ObjectNode root, ObjectNode chat) throws InvalidField {
        Fields reasoning = new Fields("reasoning.", root.get("reasoning"));
        reasoning.onlyKnown(List.of("effort", "summary"));
        reasoning.text("summary");
        reasoning.text("effort").ifPresent(effort -> chat.put("reasoning_effort", effort));
    }

    private static void text(ObjectNode root, ObjectNode chat) throws InvalidField {
        Fields text = new Fields("text.", root.get("text"));
        text.onlyKnown(List.of("format", "verbosity"));
        text.text("verbosity").ifPresent(verbosity -> chat.put("verbosity", verbosity));
        if (!text.has("format")) {
            return;
        }
        JsonNode format = root.path("text").path("format");
        Fields fields = new Fields("text.format.", format);
        String type = fields.text("type").orElse("");
        switch (type) {
            case "text" -> {}
            case "json_object" -> chat.putObject("response_format").put("type", type);
            case "json_schema" -> {
                fields.onlyKnown(List.of("type", "name", "schema", "description", "strict"));
                if (!format.path("schema").isObject()) {
                    throw new InvalidField(
                            "text.format.schema", "expected an object, got " + Fields.kind(format.path("schema")));
                }
                ObjectNode schema = format.deepCopy();
                schema.remove("type");
                chat.putObject("response_format").put("type", type).set("json_schema", schema);
            }
            default ->
                throw new InvalidField(
                        "text.format.type", "'%s' is none of text, json_object, json_schema".formatted(type));
        }
    }

    private static void tools(ObjectNode root, Fields fields, ObjectNode chat) throws InvalidField {
        ArrayNode tools = Json.mapper().createArrayNode();
        for (int i = 0; i < root.path("tools").size(); i++) {
            tools.add(tool("tools[" + i + "]", root.path("tools").get(i)));
        }
        JsonNode choice = choice(root.path("tool_choice"));
        if (tools.isEmpty()) {
            // a chat without tools refuses the fields that concern tools
            if (!choice.isMissingNode() && !Set.of("auto", "none").contains(choice.asText())) {
                throw new InvalidField("tool_choice", "needs tools");
            }
            return;
        }
        chat.set("tools", tools);
        if (!choice.isMissingNode()) {
            chat.set("tool_choice", choice);
        }
        if (fields.flag("parallel_tool_calls").isPresent()) {
            chat.set("parallel_tool_calls", root.get("parallel_tool_calls"));
        }
    }

    private static ObjectNode tool(String path, JsonNode tool) throws InvalidField {
        Fields fields = new Fields(path + ".", tool);
        String type = tool.isObject() ? fields.text("type").orElse("") : "";
        if (!type.equals("function")) {
            throw new InvalidField(path + ".type", "'%s' is not available: only function is".formatted(type));
        }
        fields.onlyKnown(List.of("type", "name", "description", "parameters", "strict"));
        ObjectNode function = Json.mapper().createObjectNode();
        function.put("name", fields.text("name").orElseThrow(() -> new InvalidField(path + ".name", "is needed")));
        for (String name : List.of("description", "parameters", "strict")) {
            if (tool.hasNonNull(name)) {
                function.set(name, tool.get(name));
            }
        }
        ObjectNode nested = Json.mapper().createObjectNode().put("type", type);
        nested.set("function", function);
        return nested;
    }

    private static JsonNode choice(JsonNode given) throws InvalidField {
        if (given.isMissingNode() || Set.of("auto", "none", "required").contains(given.asText())) {
            return given;
        }
        if (!given.path("type").asText().equals("function")
                || !given.path("name").isTextual()) {
            throw new InvalidField(
                    "tool_choice", "only auto, none, required and {\"type\": \"function\", \"name\": …} are available");
        }
        ObjectNode nested = Json.mapper().createObjectNode().put("type", "function");
        nested.putObject("function").set("name", given.get("name"));
        return nested;
    }
}
