package dev.penstock.node.protocol;

import com.fasterxml.jackson.databind.node.NullNode;
import dev.penstock.job.PublishedText;
import dev.penstock.job.Task;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A model's input, in OpenAI's terms: a chat, a completion, embeddings, a ranking or scores. A job that describes or tags images becomes a
 * chat.
 *
 * @param task the job's task
 * @param model the model's name at the node
 * @param asked the fields of the job's body
 * @param defaults the values of fields that the job does not set; they are never reported as ignored
 * @param extraBody the node's own fields, which override all other fields
 * @param batch the number of embeddings inputs in one request; 0 for the backend's own limit
 * @param published the beginning of the answer, which an earlier attempt wrote and the answer continues; null if the
 *     answer starts over
 */
public record Prompt(
        Task task,
        String model,
        Map<String, Object> asked,
        Map<String, Object> defaults,
        Map<String, Object> extraBody,
        int batch,
        @Nullable PublishedText published) {

    /** The fields of a request that make the rest of the answer depend on more than the text so far. */
    private static final Set<String> NOT_CONTINUABLE = Set.of(
            "logprobs",
            "top_logprobs",
            "n_probs",
            "prompt_logprobs",
            "return_token_ids",
            "tools",
            "functions",
            "response_format",
            "structured_outputs",
            "grammar",
            "json_schema",
            "echo",
            "suffix",
            "best_of",
            "min_tokens",
            "include_stop_str_in_output",
            "continue_final_message",
            "add_generation_prompt");

    /** The fields that limit the answer's length, in all backends. */
    private static final List<String> LIMITS =
            List.of("max_completion_tokens", "max_tokens", "n_predict", "num_predict");

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
            case CHAT, COMPLETION, EMBEDDINGS, RERANK, SCORE ->
                new Prompt(task, model, body, defaults, extraBody, batch, null);
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
                yield new Prompt(task, model, chat(task, body), more, extraBody, batch, null);
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

    /**
     * Returns whether the answer to a request with these fields is one plain text, whose rest depends only on the text
     * before it.
     */
    public static boolean isOneText(Map<String, Object> fields) {
        boolean one = !(fields.get("n") instanceof Number n) || n.longValue() == 1;
        return one && fields.keySet().stream().noneMatch(NOT_CONTINUABLE::contains);
    }

    /** Returns the prompt for the rest of an answer. The limit of the rest's length is what the published text leaves. */
    public Prompt continuing(PublishedText text) {
        long spent = text.tokens();
        return new Prompt(task, model, less(asked, spent), less(defaults, spent), less(extraBody, spent), batch, text);
    }

    private static Map<String, Object> less(Map<String, Object> fields, long spent) {
        Map<String, Object> less = new LinkedHashMap<>(fields);
        LIMITS.forEach(name -> less.computeIfPresent(
                name,
                (_, value) -> value instanceof Number limit && limit.longValue() > 0
                        ? (Object) Math.max(0, limit.longValue() - spent)
                        : value));
        return less;
    }

    /** Returns whether the answer may have more tokens than the published text. */
    public boolean hasTokensLeft() {
        OptionalLong limit = limit();
        return limit.isEmpty() || limit.getAsLong() != 0;
    }

    /**
     * Returns the most tokens that the answer may have, without the published text; empty if the request has no limit. A
     * negative value also means no limit.
     */
    public OptionalLong limit() {
        for (Map<String, Object> fields : List.of(extraBody, asked, defaults)) {
            for (String name : LIMITS) {
                if (fields.get(name) instanceof Number limit) {
                    return OptionalLong.of(limit.longValue());
                }
            }
        }
        return OptionalLong.empty();
    }

    /** Returns the stop strings. */
    public List<String> stops() {
        Object stop = asked.get("stop") == null ? defaults.get("stop") : asked.get("stop");
        List<String> stops = new ArrayList<>();
        for (Object one : stop instanceof List<?> many ? many : stop == null ? List.of() : List.of(stop)) {
            if (one instanceof String text && !text.isEmpty()) {
                stops.add(text);
            }
        }
        return stops;
    }

    /**
     * Returns the messages with the published text as the last message, which is the assistant's. Without a published
     * text, it returns the messages unchanged.
     */
    List<Object> withPublished(List<?> messages) {
        List<Object> all = new ArrayList<>(messages);
        if (published != null) {
            all.add(Map.of("role", "assistant", "content", published.text()));
        }
        return all;
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
