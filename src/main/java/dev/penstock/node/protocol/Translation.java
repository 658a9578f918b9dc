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
 * Translates a job's request into a backend's own form. A protocol takes the fields one by one. The fields that it does
 * not take have no equivalent at the backend. If a field has several names, the job's value under any of them overrides
 * the defaults.
 */
public final class Translation {
    private final Prompt prompt;
    private final Set<String> taken = new HashSet<>(Set.of("model", "stream", "stream_options", "metadata"));
    private final Map<String, Object> body = new LinkedHashMap<>();

    public Translation(Prompt prompt) {
        this.prompt = prompt;
        body.put("model", prompt.model());
    }

    /**
     * Takes a field: returns the value under the first of its names that has a value. The field then counts as
     * understood.
     */
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

    /** Returns whether the job itself sets a field with one of these names. */
    boolean asks(String... names) {
        return Stream.of(names).anyMatch(name -> prompt.asked().get(name) != null);
    }

    /** Returns the configured value of a field. It ignores the job's own value. */
    public @Nullable Object configured(String... names) {
        for (String name : names) {
            Object value = prompt.defaults().get(name);
            if (value != null) {
                return value;
            }
        }
        return null;
    }

    /** Marks a field as not understood, although it was taken. */
    public void leave(String name) {
        taken.remove(name);
    }

    /** Takes a field, and puts it into the body under another name. */
    Translation pass(String as, String... names) {
        return put(as, take(names));
    }

    /**
     * Takes the limit of the answer's length. A chat keeps the name that the job uses: max_tokens, or the newer
     * max_completion_tokens. The newer name applies if the job uses both. It also applies if the node's default has
     * this name, because Azure's reasoning models refuse the older name. A completion always gets the older name,
     * because vLLM ignores the newer name in completions.
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
     * Returns the JSON schema of the answer. The schema may be in json_schema, or in llama.cpp's form of json_object. A
     * json_object without a schema gives a schema that accepts any object. Any other format without a schema counts as
     * not understood.
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
     * Takes the logprobs of a completion that is sent as a chat. A completion requests them with a number, and a chat
     * with a flag and a number.
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

    /** @param value the value of the field; null adds no field */
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

    /** Returns a field of the body as it is now. */
    @Nullable
    Object written(String name) {
        return body.get(name);
    }

    WireProtocol.Request to(String path) {
        return new WireProtocol.Request(path, List.of(bytes(body)), ignored());
    }

    /** Makes a request with one body for each of these values of a field. */
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

    /** Merges objects inside of objects too, so that one more option does not remove the other options. */
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
