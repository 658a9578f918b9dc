package dev.penstock.wire;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;

/** The part of a job's body that says what is asked: messages, prompt, input or images. */
final class Contents {
    private Contents() {}

    static void check(String name, ObjectNode root) throws InvalidField {
        JsonNode value = root.get(name);
        switch (name) {
            case "messages" -> checkMessages(value);
            case "images" -> {
                if (!isTextArray(value) || value.isEmpty()) {
                    throw new InvalidField(name, "expected an array of base64 strings or data: URLs");
                }
            }
            case "prompt" -> {
                if (!value.isTextual() && (!isTextArray(value) || value.isEmpty())) {
                    throw new InvalidField(name, "expected a string, got " + Fields.kind(value));
                }
            }
            default -> {
                if (!value.isTextual() && !value.isArray()) {
                    throw new InvalidField(name, "expected a string or an array, got " + Fields.kind(value));
                }
            }
        }
    }

    static boolean isTextArray(JsonNode value) {
        if (!value.isArray()) {
            return false;
        }
        for (JsonNode item : value) {
            if (!item.isTextual()) {
                return false;
            }
        }
        return true;
    }

    private static void checkMessages(JsonNode messages) throws InvalidField {
        if (!messages.isArray()) {
            throw new InvalidField("messages", "expected an array, got " + Fields.kind(messages));
        }
        if (messages.isEmpty()) {
            throw new InvalidField("messages", "at least one message is needed");
        }
        for (int i = 0; i < messages.size(); i++) {
            String path = "messages[" + i + "]";
            JsonNode message = messages.get(i);
            if (!message.isObject()) {
                throw new InvalidField(path, "expected an object, got " + Fields.kind(message));
            }
            JsonNode role = message.path("role");
            if (!role.isTextual()) {
                throw new InvalidField(path + ".role", "expected a string, got " + Fields.kind(role));
            }
            JsonNode content = message.path("content");
            boolean absent = content.isMissingNode() || content.isNull();
            if (!absent && !content.isTextual() && !content.isArray()) {
                throw new InvalidField(
                        path + ".content", "expected a string or an array of parts, got " + Fields.kind(content));
            }
            for (int j = 0; j < content.size(); j++) {
                if (!content.get(j).isObject()) {
                    throw new InvalidField(
                            path + ".content[" + j + "]", "expected an object, got " + Fields.kind(content.get(j)));
                }
            }
            boolean mayBeSilent = role.textValue().equals("assistant");
            if (absent && !mayBeSilent) {
                throw new InvalidField(path + ".content", "is needed");
            }
        }
    }
}
