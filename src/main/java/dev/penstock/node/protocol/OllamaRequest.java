package dev.penstock.node.protocol;

import dev.penstock.wire.Json;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Translates a prompt into a request to Ollama's own API (observed with 0.33.0). */
final class OllamaRequest {
    /** Ollama's options, each with the names of the job's field. */
    private static final Map<String, List<String>> OPTIONS = Map.ofEntries(
            Map.entry("temperature", List.of("temperature")),
            Map.entry("top_p", List.of("top_p")),
            Map.entry("top_k", List.of("top_k")),
            Map.entry("min_p", List.of("min_p")),
            Map.entry("typical_p", List.of("typical_p")),
            Map.entry("seed", List.of("seed")),
            Map.entry("presence_penalty", List.of("presence_penalty")),
            Map.entry("frequency_penalty", List.of("frequency_penalty")),
            Map.entry("repeat_penalty", List.of("repetition_penalty", "repeat_penalty")),
            Map.entry("repeat_last_n", List.of("repeat_last_n")),
            Map.entry("num_keep", List.of("num_keep", "n_keep")),
            Map.entry("num_predict", List.of("max_completion_tokens", "max_tokens")));

    /**
     * The options that only the configuration may set. If a job changed them, Ollama would reload the model for all
     * jobs.
     */
    private static final Map<String, List<String>> LOADING = Map.of(
            "num_ctx", List.of("num_ctx", "ctx_size"),
            "num_batch", List.of("num_batch", "batch_size"),
            "num_gpu", List.of("num_gpu"),
            "num_thread", List.of("num_thread"));

    private static final List<String> AS_THEY_ARE = List.of("logprobs", "top_logprobs", "keep_alive");

    private OllamaRequest() {}

    static Translation chat(Prompt prompt) throws WireProtocol.Unsupported {
        Translation request = common(prompt);
        List<Object> messages = new ArrayList<>();
        Map<String, String> callNames = new HashMap<>();
        if (request.take("messages") instanceof List<?> given) {
            for (Object message : given) {
                messages.add(message instanceof Map<?, ?> fields ? message(fields, callNames) : message);
            }
        }
        request.put("messages", prompt.withPublished(messages));
        Object choice = request.take("tool_choice");
        Object tools = request.take("tools");
        if (!"none".equals(choice)) {
            request.put("tools", tools);
        }
        if (choice != null && !"none".equals(choice) && !"auto".equals(choice)) {
            request.leave("tool_choice");
        }
        return request;
    }

    static Translation generate(Prompt prompt) throws WireProtocol.Unsupported {
        Translation request = common(prompt).passAll(List.of("system", "suffix", "raw", "template", "context"));
        String given = OpenAiProtocol.single(request.take("prompt"));
        String rest = prompt.published() == null ? "" : prompt.published().text();
        return request.passLogprobsInChat().put("prompt", given + rest);
    }

    /** Returns whether a completion's prompt is the model's whole input, without a template. */
    static boolean isRaw(Prompt prompt) {
        return Boolean.TRUE.equals(prompt.asked().get("raw"));
    }

    /** Translates a completion whose answer has begun into the chat that it is to Ollama. */
    static Translation restOfCompletion(Prompt prompt) throws WireProtocol.Unsupported {
        Translation request = common(prompt);
        request.take("raw");
        List<Object> messages = new ArrayList<>();
        Object system = request.take("system");
        if (system != null) {
            messages.add(Map.of("role", "system", "content", system));
        }
        messages.add(Map.of("role", "user", "content", OpenAiProtocol.single(request.take("prompt"))));
        return request.put("messages", prompt.withPublished(messages));
    }

    static Translation embed(Prompt prompt) {
        Translation request = new Translation(prompt).passAll(List.of("dimensions", "keep_alive"));
        request.take("input", "encoding_format");
        // without this, Ollama would cut an input that is too long instead of refusing it
        return request.put("truncate", false).put("options", loading(request));
    }

    private static Translation common(Prompt prompt) {
        Translation request = new Translation(prompt).put("stream", true).passAll(AS_THEY_ARE);
        Map<String, Object> options = loading(request);
        OPTIONS.forEach((option, names) -> {
            Object value = request.take(names.toArray(String[]::new));
            if (value != null) {
                options.put(option, value);
            }
        });
        Object stop = request.take("stop");
        if (stop != null) {
            options.put("stop", stop instanceof List<?> ? stop : List.of(stop));
        }
        if (request.take("options") instanceof Map<?, ?> allowed) {
            allowed.forEach((name, value) -> options.put(String.valueOf(name), value));
        }
        Object n = request.take("n");
        if (n instanceof Number number && number.intValue() > 1) {
            request.leave("n");
        }
        // without this, Ollama would cut a history that is too long instead of refusing it
        return request.put("truncate", false)
                .put("options", options)
                // always a schema, because a model with a template of its own ignores "json" (observed with 0.33.0)
                .put("format", request.answerSchema())
                .put("think", think(request));
    }

    private static Map<String, Object> loading(Translation request) {
        Map<String, Object> options = new LinkedHashMap<>();
        LOADING.forEach((option, names) -> {
            Object value = request.configured(names.toArray(String[]::new));
            if (value != null) {
                options.put(option, value);
            }
        });
        return options;
    }

    private static @Nullable Object think(Translation request) {
        Object think = request.take("think");
        Object effort = request.take("reasoning_effort");
        Object thinking = request.take("thinking");
        if (think == null && effort == null && thinking instanceof Map<?, ?> object) {
            return switch (String.valueOf(object.get("type"))) {
                case "enabled" -> true;
                case "disabled" -> false;
                // the model decides
                default -> null;
            };
        }
        if (think != null || effort == null) {
            return think;
        }
        return switch (String.valueOf(effort)) {
            case "none" -> false;
            case "minimal" -> "low";
            case "xhigh" -> "max";
            default -> effort;
        };
    }

    /**
     * Translates a message. Content parts become text and images, and reasoning becomes thinking. Ollama requires the
     * arguments of a tool call as an object, and the name of the tool in the tool's answer.
     */
    private static Map<String, Object> message(Map<?, ?> given, Map<String, String> callNames)
            throws WireProtocol.Unsupported {
        Map<String, Object> message = new LinkedHashMap<>();
        given.forEach((name, value) -> message.put(String.valueOf(name), value));
        if ("developer".equals(given.get("role"))) {
            message.put("role", "system");
        }
        if (message.remove("reasoning") instanceof String reasoning) {
            message.putIfAbsent("thinking", reasoning);
        }
        if (given.get("content") instanceof List<?> parts) {
            StringBuilder text = new StringBuilder();
            List<String> images = new ArrayList<>();
            for (Object part : parts) {
                if (part instanceof Map<?, ?> fields) {
                    part(fields, text, images);
                }
            }
            message.put("content", text.toString());
            if (!images.isEmpty()) {
                message.put("images", images);
            }
        }
        if (given.get("tool_calls") instanceof List<?> calls) {
            List<Object> translated = new ArrayList<>();
            for (Object call : calls) {
                translated.add(toolCall(call, callNames));
            }
            message.put("tool_calls", translated);
        }
        String answered = callNames.get(String.valueOf(given.get("tool_call_id")));
        if (answered != null) {
            message.put("tool_name", answered);
        }
        return message;
    }

    private static void part(Map<?, ?> part, StringBuilder text, List<String> images) throws WireProtocol.Unsupported {
        Object image = part.get("image_url");
        Object url = image instanceof Map<?, ?> fields ? fields.get("url") : image;
        if (part.get("text") instanceof String piece) {
            text.append(piece);
        } else if (url instanceof String data) {
            images.add(InlineData.of(data).base64());
        } else {
            throw WireProtocol.Unsupported.here("messages", "ollama takes no part of type '" + part.get("type") + "'");
        }
    }

    private static Object toolCall(@Nullable Object given, Map<String, String> callNames) {
        if (!(given instanceof Map<?, ?> call) || !(call.get("function") instanceof Map<?, ?> function)) {
            return given == null ? Map.of() : given;
        }
        callNames.put(String.valueOf(call.get("id")), String.valueOf(function.get("name")));
        Map<String, Object> copy = new LinkedHashMap<>();
        function.forEach((name, value) -> copy.put(String.valueOf(name), value));
        if (function.get("arguments") instanceof String arguments) {
            Object parsed = Json.parseLenient(arguments);
            copy.put("arguments", parsed == null ? Map.of() : parsed);
        }
        return Map.of("function", copy);
    }
}
