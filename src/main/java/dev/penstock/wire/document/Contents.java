package dev.penstock.wire.document;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.wire.Fields;
import dev.penstock.wire.InvalidField;
import dev.penstock.wire.MediaUrls;

/** Checks the fields with the content of a job: messages, prompt, input or images. */
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
                for (int i = 0; i < value.size(); i++) {
                    checkImage(name + "[" + i + "]", value.get(i).textValue());
                }
            }
            case "prompt" -> {
                if (!value.isTextual() && (!isTextArray(value) || value.isEmpty())) {
                    throw new InvalidField(name, "expected a string, got " + Fields.kind(value));
                }
            }
            default -> checkInput(name, value);
        }
    }

    /** Checks an image, except for its address, which {@link MediaUrls} checks. */
    private static void checkImage(String path, String image) throws InvalidField {
        boolean data = image.startsWith("data:");
        int comma = image.indexOf(',');
        if (data && !image.substring(0, Math.max(0, comma)).endsWith(";base64")) {
            throw new InvalidField(path, "expected data:image/…;base64,…");
        }
        boolean address = !data && image.indexOf(':') >= 0;
        if (!address && !isBase64(data ? image.substring(comma + 1) : image)) {
            throw new InvalidField(path, "is neither base64 nor a data: URL");
        }
    }

    private static boolean isBase64(String text) {
        int digits = 0;
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            boolean digit = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
            if (digit || c == '+' || c == '/') {
                digits++;
            } else if (c != '=' && c != '\n' && c != '\r') {
                return false;
            }
        }
        return digits > 0;
    }

    /** Accepts one text or several, as text or as token numbers. */
    private static void checkInput(String name, JsonNode value) throws InvalidField {
        if (!value.isTextual() && !value.isArray()) {
            throw new InvalidField(name, "expected a string or an array, got " + Fields.kind(value));
        }
        if (value.isArray() && value.isEmpty()) {
            throw new InvalidField(name, "at least one input is needed");
        }
        boolean texts = value.path(0).isTextual();
        boolean numbers = value.path(0).isIntegralNumber();
        for (int i = 0; i < value.size(); i++) {
            JsonNode item = value.get(i);
            boolean fits =
                    texts ? item.isTextual() : numbers ? item.isIntegralNumber() : item.isArray() && isIntegers(item);
            if (!fits) {
                throw new InvalidField(
                        name + "[" + i + "]",
                        "expected " + (texts ? "a string" : numbers ? "a token number" : "token numbers") + ", got "
                                + Fields.kind(item));
            }
        }
    }

    private static boolean isIntegers(JsonNode items) {
        for (JsonNode item : items) {
            if (!item.isIntegralNumber()) {
                return false;
            }
        }
        return !items.isEmpty();
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
