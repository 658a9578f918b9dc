package dev.penstock.node;

import dev.penstock.wire.Json;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** An OpenAI request body in the words of Ollama's own API (measured: 0.33.0). */
final class OllamaRequest {
    /** OpenAI's or the field's common name → Ollama's option. */
    private static final Map<String, String> OPTIONS = Map.ofEntries(
            Map.entry("temperature", "temperature"),
            Map.entry("top_p", "top_p"),
            Map.entry("top_k", "top_k"),
            Map.entry("min_p", "min_p"),
            Map.entry("typical_p", "typical_p"),
            Map.entry("seed", "seed"),
            Map.entry("presence_penalty", "presence_penalty"),
            Map.entry("frequency_penalty", "frequency_penalty"),
            Map.entry("repetition_penalty", "repeat_penalty"),
            Map.entry("max_tokens", "num_predict"),
            Map.entry("max_completion_tokens", "num_predict"));

    private static final List<String> AS_THEY_ARE =
            List.of("tools", "logprobs", "top_logprobs", "keep_alive", "think", "suffix", "raw", "template");

    private OllamaRequest() {}

    static Map<String, Object> chat(Map<String, Object> body, String model) {
        Map<String, Object> request = common(body, model);
        List<Object> messages = new ArrayList<>();
        if (body.get("messages") instanceof List<?> given) {
            given.forEach(message -> messages.add(message instanceof Map<?, ?> fields ? message(fields) : message));
        }
        request.put("messages", messages);
        return request;
    }

    static Map<String, Object> generate(Map<String, Object> body, String model) {
        Map<String, Object> request = common(body, model);
        copy(body, request, "prompt");
        copy(body, request, "system");
        return request;
    }

    private static Map<String, Object> common(Map<String, Object> body, String model) {
        Map<String, Object> request = new LinkedHashMap<>();
        request.put("model", model);
        request.put("stream", true);
        AS_THEY_ARE.forEach(name -> copy(body, request, name));
        Map<String, Object> options = new LinkedHashMap<>();
        OPTIONS.forEach((name, option) -> {
            Object value = body.get(name);
            if (value != null) {
                options.put(option, value);
            }
        });
        Object stop = body.get("stop");
        if (stop != null) {
            options.put("stop", stop instanceof List<?> ? stop : List.of(stop));
        }
        request.put("options", options);
        Object format = format(body.get("response_format"));
        if (format != null) {
            request.put("format", format);
        }
        return request;
    }

    private static @Nullable Object format(@Nullable Object responseFormat) {
        if (!(responseFormat instanceof Map<?, ?> format)) {
            return null;
        }
        if ("json_object".equals(format.get("type"))) {
            return "json";
        }
        return format.get("json_schema") instanceof Map<?, ?> schema ? schema.get("schema") : null;
    }

    /** Content parts become text and images; a tool call's arguments have to be an object. */
    private static Map<String, Object> message(Map<?, ?> given) {
        Map<String, Object> message = new LinkedHashMap<>();
        given.forEach((name, value) -> message.put(String.valueOf(name), value));
        if (given.get("content") instanceof List<?> parts) {
            StringBuilder text = new StringBuilder();
            List<String> images = new ArrayList<>();
            for (Object part : parts) {
                if (part instanceof Map<?, ?> fields && fields.get("text") instanceof String piece) {
                    text.append(piece);
                } else if (part instanceof Map<?, ?> fields
                        && fields.get("image_url") instanceof Map<?, ?> image
                        && image.get("url") instanceof String url) {
                    images.add(url.replaceFirst("^data:[^,]*,", ""));
                }
            }
            message.put("content", text.toString());
            if (!images.isEmpty()) {
                message.put("images", images);
            }
        }
        if (given.get("tool_calls") instanceof List<?> calls) {
            message.put(
                    "tool_calls", calls.stream().map(OllamaRequest::toolCall).toList());
        }
        return message;
    }

    private static Object toolCall(@Nullable Object given) {
        if (given instanceof Map<?, ?> call
                && call.get("function") instanceof Map<?, ?> function
                && function.get("arguments") instanceof String arguments) {
            Map<String, Object> copy = new LinkedHashMap<>();
            function.forEach((name, value) -> copy.put(String.valueOf(name), value));
            Object parsed = Json.parseLenient(arguments);
            copy.put("arguments", parsed == null ? Map.of() : parsed);
            return Map.of("function", copy);
        }
        return given == null ? Map.of() : given;
    }

    private static void copy(Map<String, Object> from, Map<String, Object> to, String name) {
        Object value = from.get(name);
        if (value != null) {
            to.put(name, value);
        }
    }
}
