package dev.penstock.node.protocol;

import dev.penstock.wire.Json;
import io.vertx.core.buffer.Buffer;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * A request in a backend's own form. A protocol takes the fields one by one; the fields that are left have no
 * equivalent there. The job's values come before the defaults, under all of a field's names.
 */
public final class Translation {
    private final Prompt prompt;
    private final Set<String> taken = new HashSet<>(Set.of("model", "stream", "stream_options", "metadata"));
    private final Map<String, Object> body = new LinkedHashMap<>();

    public Translation(Prompt prompt) {
        this.prompt = prompt;
        body.put("model", prompt.model());
    }

    /** Returns the value of a field, by the first of its names that has one. The field counts as understood. */
    public @Nullable Object take(String... names) {
        taken.addAll(List.of(names));
        for (Map<String, Object> source : List.of(prompt.asked(), prompt.defaults())) {
            for (String name : names) {
                Object value = source.get(name);
                if (value != null) {
                    return value;
                }
            }
        }
        return null;
    }

    /** Returns whether the job itself sets a field by one of these names. */
    boolean asks(String... names) {
        return Stream.of(names).anyMatch(name -> prompt.asked().get(name) != null);
    }

    /** Returns the configured value; the job's own value is ignored. */
    public @Nullable Object configured(String... names) {
        for (String name : names) {
            Object value = prompt.defaults().get(name);
            if (value != null) {
                return value;
            }
        }
        return null;
    }

    /** Marks a field as not understood after all. */
    public void leave(String name) {
        taken.remove(name);
    }

    /** Takes a field into the body. */
    Translation pass(String as, String... names) {
        return put(as, take(names));
    }

    /**
     * Takes the limit of the answer's length. In a chat it keeps the job's name for it, and the newer name wins. The
     * newer name also applies if it is the name of the node's default, because Azure's reasoning models refuse the
     * older. Completions have only the older name, and vLLM ignores the newer one there.
     */
    Translation passLimit(boolean chat) {
        Object limit = take("max_completion_tokens", "max_tokens");
        if (!chat) {
            return put("max_tokens", limit);
        }
        boolean newer = asks("max_completion_tokens") || configured("max_completion_tokens") != null;
        return put(newer ? "max_completion_tokens" : "max_tokens", limit);
    }

    /**
     * Returns the JSON schema of the answer. It may come from json_schema, or from llama.cpp's json_object. Any other
     * json_object gives the schema of any object. Another format without a schema counts as not understood.
     */
    public @Nullable Object answerSchema() {
        if (!(take("response_format") instanceof Map<?, ?> format) || "text".equals(format.get("type"))) {
            return null;
        }
        Object schema = format.get("json_schema") instanceof Map<?, ?> schemaObject
                ? schemaObject.get("schema")
                : format.get("schema");
        if (schema == null && "json_object".equals(format.get("type"))) {
            return Map.of("type", "object");
        }
        if (schema == null) {
            leave("response_format");
        }
        return schema;
    }

    /**
     * Takes the logprobs of a completion into a chat. In a completion they are a number; in a chat they are a flag
     * and a number.
     */
    Translation passLogprobsInChat() {
        Object logprobs = take("logprobs");
        Object top = take("top_logprobs");
        if (logprobs instanceof Number count) {
            return put("logprobs", true).put("top_logprobs", top == null && count.intValue() > 0 ? count : top);
        }
        return put("logprobs", logprobs).put("top_logprobs", top);
    }

    Translation passAll(List<String> names) {
        names.forEach(name -> pass(name, name));
        return this;
    }

    /** Takes all other fields of the job, unchanged. */
    Translation passRest() {
        prompt.asked().forEach((name, value) -> {
            if (taken.add(name)) {
                put(name, value);
            }
        });
        return this;
    }

    /** @param value null puts nothing */
    Translation put(String name, @Nullable Object value) {
        if (value != null) {
            body.put(name, value);
        }
        return this;
    }

    /** Returns the names of the job's fields that were not taken, in order. */
    public List<String> ignored() {
        return prompt.asked().entrySet().stream()
                .filter(field -> field.getValue() != null && !taken.contains(field.getKey()))
                .map(Map.Entry::getKey)
                .sorted()
                .toList();
    }

    Translation drop(String name) {
        body.remove(name);
        return this;
    }

    WireProtocol.Request to(String path) {
        return new WireProtocol.Request(path, List.of(bytes(body)), ignored());
    }

    /** Makes one request for each of these values of a field. */
    WireProtocol.Request to(String path, String field, List<Object> values) {
        return new WireProtocol.Request(
                path,
                values.stream()
                        .map(value -> {
                            Map<String, Object> part = new LinkedHashMap<>(body);
                            part.put(field, value);
                            return bytes(part);
                        })
                        .toList(),
                ignored());
    }

    private Buffer bytes(Map<String, Object> own) {
        return Buffer.buffer(Json.bytes(merged(own, prompt.extraBody())));
    }

    /** Merges objects, so that one more option does not remove the others. */
    private static Map<String, Object> merged(Map<String, Object> own, Map<?, ?> over) {
        Map<String, Object> merged = new LinkedHashMap<>(own);
        over.forEach((name, value) -> {
            Map<String, Object> inner = new LinkedHashMap<>();
            if (merged.get(String.valueOf(name)) instanceof Map<?, ?> known && value instanceof Map<?, ?> further) {
                known.forEach((key, held) -> inner.put(String.valueOf(key), held));
                merged.put(String.valueOf(name), merged(inner, further));
            } else {
                merged.put(String.valueOf(name), value);
            }
        });
        return merged;
    }
}
