package dev.penstock.api.anthropic;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.wire.AllowedHosts;
import dev.penstock.wire.Fields;
import dev.penstock.wire.InvalidField;
import dev.penstock.wire.Json;

/** Translates the system prompt and the messages of a request into the messages of a chat. Not thread-safe. */
final class ChatMessages {
    private final ChatParts parts;
    private final ArrayNode chat = Json.mapper().createArrayNode();

    /** @param hosts the hosts of the images to which a message may refer by URL */
    ChatMessages(AllowedHosts hosts) {
        parts = new ChatParts(hosts);
    }

    ArrayNode of(JsonNode system, JsonNode messages) throws InvalidField {
        if (!MessagesRequest.isAbsent(system)) {
            ArrayNode texts = parts.texts("system", system);
            if (!texts.isEmpty()) {
                message("system", texts);
            }
        }
        if (MessagesRequest.array("messages", messages).isEmpty()) {
            throw new InvalidField("messages", "at least one message is needed");
        }
        for (int i = 0; i < messages.size(); i++) {
            String path = "messages[" + i + "]";
            ObjectNode message = MessagesRequest.object(path, messages.get(i));
            String role = new Fields(path + ".", message).text("role").orElse("");
            JsonNode content = message.path("content");
            if (!content.isTextual() && !content.isArray()) {
                throw new InvalidField(
                        path + ".content",
                        MessagesRequest.isAbsent(content)
                                ? "is needed"
                                : "expected a string or an array of blocks, got " + Fields.kind(content));
            }
            switch (role) {
                case "user" -> user(path + ".content", content);
                case "assistant" -> assistant(path + ".content", content);
                default ->
                    throw new InvalidField(path + ".role", role.isEmpty() ? "is needed" : "expected user or assistant");
            }
        }
        return chat;
    }

    /**
     * Adds the results of tools as messages of their own, before the rest of the message: after the calls of a message,
     * a chat continues with the results.
     */
    private void user(String path, JsonNode content) throws InvalidField {
        if (content.isTextual()) {
            chat.addObject().put("role", "user").set("content", content);
            return;
        }
        if (content.isEmpty()) {
            throw new InvalidField(path, "at least one block is needed");
        }
        ArrayNode rest = Json.mapper().createArrayNode();
        for (int i = 0; i < content.size(); i++) {
            String place = path + "[" + i + "]";
            ObjectNode block = MessagesRequest.object(place, content.get(i));
            if (block.path("type").asText("").equals("tool_result")) {
                result(place, block);
            } else {
                parts.add(place, block, rest);
            }
        }
        if (!rest.isEmpty()) {
            message("user", rest);
        }
    }

    private void result(String path, ObjectNode block) throws InvalidField {
        String call = ChatParts.text(path, block, "tool_use_id");
        JsonNode content = block.path("content");
        ArrayNode given = Json.mapper().createArrayNode();
        if (content.isTextual()) {
            given.addObject().put("type", "text").set("text", content);
        } else if (!MessagesRequest.isAbsent(content)) {
            MessagesRequest.array(path + ".content", content);
            for (int i = 0; i < content.size(); i++) {
                String place = path + ".content[" + i + "]";
                parts.add(place, MessagesRequest.object(place, content.get(i)), given);
            }
        }
        ObjectNode result = message("tool", given).put("tool_call_id", call);
        if (new Fields(path + ".", block).flag("is_error").orElse(false)) {
            result.put("is_error", true);
        }
        CacheMark.copy(path, block, result);
    }

    private void assistant(String path, JsonNode content) throws InvalidField {
        if (content.isTextual()) {
            chat.addObject().put("role", "assistant").set("content", content);
            return;
        }
        Turn turn = new Turn();
        for (int i = 0; i < content.size(); i++) {
            String place = path + "[" + i + "]";
            ObjectNode block = MessagesRequest.object(place, content.get(i));
            switch (block.path("type").asText("")) {
                case "thinking", "redacted_thinking" -> {
                    if (turn.hasAnswered()) {
                        turn.end();
                        turn = new Turn();
                    }
                    turn.thought(place, block);
                }
                case "tool_use" -> turn.call(place, block);
                case "text" -> parts.add(place, block, turn.texts);
                default -> throw ChatParts.unavailable(place, block, "a message of the assistant");
            }
        }
        turn.end();
    }

    private ObjectNode message(String role, ArrayNode content) {
        ObjectNode message = chat.addObject().put("role", role);
        message.set("content", ChatParts.inShort(content));
        return message;
    }

    /**
     * A message of the assistant: thinking, then text, then calls. A chat has no other order. If the model thinks again
     * after its text, the blocks become two messages, which a node with Anthropic's API gets as one.
     */
    private final class Turn {
        private final ArrayNode texts = Json.mapper().createArrayNode();
        private final ArrayNode thoughts = Json.mapper().createArrayNode();
        private final ArrayNode calls = Json.mapper().createArrayNode();
        private final StringBuilder reasoning = new StringBuilder();

        boolean hasAnswered() {
            return !texts.isEmpty() || !calls.isEmpty();
        }

        /**
         * Keeps a signed block as it is. A block without a signature comes from a server that signs nothing, so only
         * its text is kept: Anthropic would refuse the block.
         */
        void thought(String path, ObjectNode block) throws InvalidField {
            boolean open = block.path("type").asText().equals("thinking");
            String words = ChatParts.text(path, block, open ? "thinking" : "data");
            String signature = block.path("signature").asText("");
            if (open) {
                reasoning.append(words);
            }
            if (!open) {
                thoughts.addObject().put("type", "redacted_thinking").put("data", words);
            } else if (!signature.isEmpty()) {
                thoughts.addObject()
                        .put("type", "thinking")
                        .put("thinking", words)
                        .put("signature", signature);
            }
        }

        void call(String path, ObjectNode block) throws InvalidField {
            ObjectNode call = calls.addObject()
                    .put("id", ChatParts.text(path, block, "id"))
                    .put("type", "function");
            call.putObject("function")
                    .put("name", ChatParts.text(path, block, "name"))
                    .put(
                            "arguments",
                            MessagesRequest.object(path + ".input", block.path("input"))
                                    .toString());
            CacheMark.copy(path, block, call);
        }

        void end() {
            if (!hasAnswered() && reasoning.isEmpty() && thoughts.isEmpty()) {
                return;
            }
            ObjectNode message = message("assistant", texts);
            if (texts.isEmpty() && !calls.isEmpty()) {
                message.putNull("content");
            }
            if (!reasoning.isEmpty()) {
                message.put("reasoning", reasoning.toString());
            }
            if (!thoughts.isEmpty()) {
                message.set("thinking_blocks", thoughts);
            }
            if (!calls.isEmpty()) {
                message.set("tool_calls", calls);
            }
        }
    }
}
