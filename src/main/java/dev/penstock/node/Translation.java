package dev.penstock.node;

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
 * A request in a backend's own words: its fields are taken one by one, and what is left has no equivalent there. What
 * the job says comes before the defaults, whichever of a field's names is used.
 */
final class Translation {
    private final Prompt prompt;
    private final Set<String> taken = new HashSet<>(Set.of("model", "stream", "stream_options", "metadata"));
    private final Map<String, Object> body = new LinkedHashMap<>();

    Translation(Prompt prompt) {
        this.prompt = prompt;
        body.put("model", prompt.model());
    }

    /** What a field says, by the first of its names that says anything; it counts as understood. */
    @Nullable
    Object take(String... names) {
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

    /** Whether the job itself says anything by one of these names. */
    boolean asks(String... names) {
        return Stream.of(names).anyMatch(name -> prompt.asked().get(name) != null);
    }

    /** What the configuration says; where the job names it, it is ignored. */
    @Nullable
    Object configured(String... names) {
        for (String name : names) {
            Object value = prompt.defaults().get(name);
            if (value != null) {
                return value;
            }
        }
        return null;
    }

    /** Counts as not understood after all. */
    void leave(String name) {
        taken.remove(name);
    }

    /** Takes a field into the body. */
    Translation pass(String as, String... names) {
        return put(as, take(names));
    }

    /**
     * The limit of the answer's length. A chat's has the name that was used for it, and a job that uses both means the
     * newer, as a node does whose default has that name (Azure's reasoning models refuse the older); completions know the
     * older alone (vLLM passes over the newer).
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
     * The JSON schema that the answer is to have, also the one that llama.cpp's json_object may carry; of any other
     * json_object that of any object. A form that names no schema is left.
     */
    @Nullable
    Object answerSchema() {
        if (!(take("response_format") instanceof Map<?, ?> format) || "text".equals(format.get("type"))) {
            return null;
        }
        Object schema =
                format.get("json_schema") instanceof Map<?, ?> named ? named.get("schema") : format.get("schema");
        if (schema == null && "json_object".equals(format.get("type"))) {
            return Map.of("type", "object");
        }
        if (schema == null) {
            leave("response_format");
        }
        return schema;
    }

    /** A completion's logprobs are a number; where a chat carries it they are a yes, and how many. */
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

    /** Everything that the job says and that has not been taken yet, as it is. */
    Translation passRest() {
        prompt.asked().forEach((name, value) -> {
            if (taken.add(name)) {
                put(name, value);
            }
        });
        return this;
    }

    /** @param value null: nothing is put */
    Translation put(String name, @Nullable Object value) {
        if (value != null) {
            body.put(name, value);
        }
        return this;
    }

    /** The fields that the job names and nobody took, by name. */
    List<String> ignored() {
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

    /** One request for each of these values of a field. */
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

    /** Objects are merged, so that an option more does not cost the others. */
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
