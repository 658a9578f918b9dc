package dev.penstock.wire.document;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.job.Task;
import dev.penstock.wire.Fields;
import dev.penstock.wire.InvalidField;
import dev.penstock.wire.MediaUrls;
import java.util.List;
import java.util.Optional;

/**
 * Reads the task of a job from its content, and checks the fields with the content: messages, prompt, input, images, a
 * query with documents, or two texts.
 */
final class Contents {
    private static final List<String> CONTENT = List.of("messages", "prompt", "input", "images");
    /**
     * The fields that decide the task of a body without any of {@link #CONTENT}. Beside these, they are parameters: a
     * chat may have documents and a query of its own.
     */
    private static final List<String> SCORED = List.of("query", "text_1");

    /** The most documents of a ranking, and the most pairs of texts. */
    private static final int MOST_SCORES = 2_048;

    private Contents() {}

    /**
     * Checks the content and returns the task.
     *
     * @param top the fields of the document
     * @param job the fields of its object {@code job}
     */
    static Task task(ObjectNode root, Fields top, Fields job) throws InvalidField {
        List<String> content = CONTENT.stream().filter(root::has).toList();
        List<String> held =
                content.isEmpty() ? SCORED.stream().filter(root::has).toList() : content;
        boolean vision = held.contains("images");
        List<String> deciding =
                vision ? held.stream().filter(name -> !name.equals("prompt")).toList() : held;
        if (deciding.isEmpty()) {
            throw new InvalidField("$", "one of messages, prompt, input, images, query or text_1 is needed");
        }
        if (deciding.size() > 1) {
            throw new InvalidField(
                    deciding.getFirst(), "cannot stand beside " + deciding.get(1) + ": one job asks for one thing");
        }
        Task task = switch (deciding.getFirst()) {
            case "messages" -> Task.CHAT;
            case "prompt" -> Task.COMPLETION;
            case "input" -> Task.EMBEDDINGS;
            case "query" -> Task.RERANK;
            case "text_1" -> Task.SCORE;
            default -> Task.DESCRIBE;
        };
        check(deciding.getFirst(), root);
        if (vision && root.has("prompt")) {
            top.text("prompt");
        }
        if (root.has("system") && task != Task.COMPLETION) {
            throw new InvalidField("system", "goes with prompt only");
        }
        top.text("system");
        Optional<Task> requested = job.oneOf("task", Task.values());
        if (requested.isEmpty() || requested.get() == task) {
            return task;
        }
        if (task == Task.DESCRIBE && requested.get() == Task.TAG) {
            return Task.TAG;
        }
        throw new InvalidField(
                "job.task",
                "'%s' does not fit a body that holds %s"
                        .formatted(requested.get().wireName(), deciding.getFirst()));
    }

    private static void check(String name, ObjectNode root) throws InvalidField {
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
            case "query" -> checkRanking(root);
            case "text_1" -> checkPairs(root);
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

    private static void checkRanking(ObjectNode root) throws InvalidField {
        checkText("query", root.get("query"));
        checkTexts("documents", root.path("documents"), false);
        Fields.checkOptional(
                root,
                "top_n",
                number -> Fields.isInteger(number) && Fields.integer(number).signum() > 0,
                "a positive integer");
        Fields.checkOptional(root, "return_documents", JsonNode::isBoolean, "true or false");
    }

    /** Accepts one text and any number of texts, or as many texts on both sides. */
    private static void checkPairs(ObjectNode root) throws InvalidField {
        int left = checkTexts("text_1", root.get("text_1"), true);
        int right = checkTexts("text_2", root.path("text_2"), true);
        if (left != 1 && left != right) {
            throw new InvalidField(
                    "text_1", "expected one text, or as many as text_2 has (%d), got %d".formatted(right, left));
        }
    }

    /** @return the number of the texts */
    private static int checkTexts(String name, JsonNode value, boolean mayBeOne) throws InvalidField {
        if (mayBeOne && value.isTextual()) {
            checkText(name, value);
            return 1;
        }
        if (!value.isArray()) {
            throw new InvalidField(
                    name,
                    "expected %san array of texts, got %s".formatted(mayBeOne ? "a text or " : "", Fields.kind(value)));
        }
        if (value.isEmpty()) {
            throw new InvalidField(name, "at least one text is needed");
        }
        if (value.size() > MOST_SCORES) {
            throw new InvalidField(name, "%d texts at most, got %d".formatted(MOST_SCORES, value.size()));
        }
        for (int i = 0; i < value.size(); i++) {
            String path = name + "[" + i + "]";
            JsonNode item = value.get(i);
            if (!item.isObject()) {
                checkText(path, item);
            } else if (item.size() == 1 && item.has("text")) {
                checkText(path + ".text", item.get("text"));
            } else {
                throw new InvalidField(path, "expected a text, or an object with only the field text");
            }
        }
        return value.size();
    }

    private static void checkText(String path, JsonNode text) throws InvalidField {
        if (!text.isTextual()) {
            throw new InvalidField(path, "expected a text, got " + Fields.kind(text));
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
