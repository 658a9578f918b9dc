package dev.penstock.api.anthropic;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.wire.Fields;
import dev.penstock.wire.InvalidField;
import java.util.List;
import java.util.Optional;

/** Translates the tools of a request, and its choice of a tool, into OpenAI's form. */
final class ChatTools {
    private static final List<String> CHOICES = List.of("auto", "any", "tool", "none");

    private ChatTools() {}

    static void into(JsonNode root, ObjectNode chat) throws InvalidField {
        JsonNode tools = root.path("tools");
        if (!MessagesRequest.isAbsent(tools)
                && !MessagesRequest.array("tools", tools).isEmpty()) {
            ArrayNode translated = chat.putArray("tools");
            for (int i = 0; i < tools.size(); i++) {
                String path = "tools[" + i + "]";
                tool(path, MessagesRequest.object(path, tools.get(i)), translated.addObject());
            }
        }
        JsonNode choice = root.path("tool_choice");
        if (!MessagesRequest.isAbsent(choice)) {
            choice(MessagesRequest.object("tool_choice", choice), chat);
        }
    }

    private static void tool(String path, ObjectNode tool, ObjectNode translated) throws InvalidField {
        Fields fields = new Fields(path + ".", tool);
        String type = fields.text("type").orElse("custom");
        if (!type.equals("custom")) {
            throw new InvalidField(
                    path + ".type",
                    "'%s' is not available in this version: only tools with an input_schema are"
                            .formatted(MessagesRequest.shortened(type)));
        }
        ObjectNode function = translated.put("type", "function").putObject("function");
        function.put("name", fields.text("name").orElseThrow(() -> new InvalidField(path + ".name", "is needed")));
        Optional<String> description = fields.text("description");
        description.ifPresent(text -> function.put("description", text));
        function.set("parameters", MessagesRequest.object(path + ".input_schema", tool.path("input_schema")));
        Optional<Boolean> strict = fields.flag("strict");
        strict.ifPresent(flag -> function.put("strict", flag));
        CacheMark.copy(path, tool, translated);
    }

    private static void choice(ObjectNode choice, ObjectNode chat) throws InvalidField {
        Fields fields = new Fields("tool_choice.", choice);
        String type = fields.text("type").orElse("");
        MessagesRequest.oneOf("tool_choice.type", type, CHOICES);
        switch (type) {
            case "any" -> chat.put("tool_choice", "required");
            case "tool" -> {
                String name = fields.text("name").orElseThrow(() -> new InvalidField("tool_choice.name", "is needed"));
                chat.putObject("tool_choice")
                        .put("type", "function")
                        .putObject("function")
                        .put("name", name);
            }
            default -> chat.put("tool_choice", type);
        }
        if (fields.flag("disable_parallel_tool_use").orElse(false)) {
            chat.put("parallel_tool_calls", false);
        }
    }
}
