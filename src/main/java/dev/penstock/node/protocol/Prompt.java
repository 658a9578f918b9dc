package dev.penstock.node.protocol;

import com.fasterxml.jackson.databind.node.NullNode;
import dev.penstock.job.Task;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A model's input, in OpenAI's terms: a chat, a completion or embeddings. A job that describes or tags images becomes a
 * chat.
 *
 * @param task the job's task
 * @param model the model's name at the node
 * @param asked the fields of the job's body
 * @param defaults the values of fields that the job does not set; they are never reported as ignored
 * @param extraBody the node's own fields, which override all other fields
 * @param batch the number of embeddings inputs in one request; 0 for the backend's own limit
 */
public record Prompt(
        Task task,
        String model,
        Map<String, Object> asked,
        Map<String, Object> defaults,
        Map<String, Object> extraBody,
        int batch) {

    private static final Map<String, Object> TAGS_SCHEMA = Map.of(
            "type",
            "object",
            "properties",
            Map.of("tags", Map.of("type", "array", "items", Map.of("type", "string"))),
            "required",
            List.of("tags"),
            "additionalProperties",
            false);

    public static Prompt of(
            Task task,
            String model,
            Map<String, Object> body,
            Map<String, Object> defaults,
            Map<String, Object> extraBody,
            int batch) {
        return switch (task) {
            case CHAT, COMPLETION, EMBEDDINGS -> new Prompt(task, model, body, defaults, extraBody, batch);
            case DESCRIBE, TAG -> {
                Map<String, Object> more = new LinkedHashMap<>(defaults);
                if (task == Task.TAG) {
                    // if a node's server accepts no schema, the node's default must be {type: text}
                    more.putIfAbsent(
                            "response_format",
                            Map.of(
                                    "type",
                                    "json_schema",
                                    "json_schema",
                                    Map.of("name", "tags", "strict", true, "schema", TAGS_SCHEMA)));
                }
                yield new Prompt(task, model, chat(task, body), more, extraBody, batch);
            }
        };
    }

    /**
     * Returns the service's parameters, overridden by the node's parameters. A null value of the node removes a
     * parameter.
     */
    public static Map<String, Object> defaults(Map<String, Object> service, Map<String, Object> node) {
        Map<String, Object> defaults = new LinkedHashMap<>(service);
        defaults.putAll(node);
        defaults.values().removeIf(NullNode.class::isInstance);
        return defaults;
    }

    private static Map<String, Object> chat(Task task, Map<String, Object> body) {
        List<?> images = body.get("images") instanceof List<?> given ? given : List.of();
        String these = images.size() == 1 ? "this image" : "these images";
        String instruction = body.get("prompt") instanceof String prompt ? prompt : "";
        String text = task == Task.TAG
                ? (instruction.isEmpty() ? "Name what " + these + " shows, as short tags." : instruction)
                        + " Answer with JSON only: {\"tags\": [\"…\"]}"
                : instruction.isEmpty() ? "Describe " + these + "." : instruction;
        List<Object> parts = new ArrayList<>();
        parts.add(Map.of("type", "text", "text", text));
        images.forEach(image -> parts.add(Map.of(
                "type",
                "image_url",
                "image_url",
                Map.of("url", InlineData.of(String.valueOf(image)).url()))));
        Map<String, Object> chat = new LinkedHashMap<>(body);
        chat.remove("images");
        chat.remove("prompt");
        chat.put("messages", List.of(Map.of("role", "user", "content", parts)));
        return chat;
    }

    /** Returns whether a message holds an image, audio or other media. */
    boolean hasMedia() {
        return asked.get("messages") instanceof List<?> messages
                && messages.stream().anyMatch(Prompt::holdsMedia);
    }

    private static boolean holdsMedia(Object message) {
        return message instanceof Map<?, ?> fields
                && fields.get("content") instanceof List<?> parts
                && parts.stream()
                        .anyMatch(part -> part instanceof Map<?, ?> piece && !"text".equals(piece.get("type")));
    }
}
