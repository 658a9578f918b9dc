package dev.penstock.node.protocol;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.Task;
import dev.penstock.wire.Json;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Translates a prompt into Anthropic's messages API. Content blocks in Anthropic's own form pass unchanged. */
final class AnthropicRequest {
    /** The default limit of the answer, because Anthropic's API requires a limit and OpenAI's does not. */
    private static final int MAX_TOKENS = 4096;

    private static final Set<String> THOUGHTS = Set.of("thinking", "redacted_thinking");

    /** The fields that a request for the number of tokens does not have. */
    private static final List<String> NOT_COUNTED =
            List.of("stream", "max_tokens", "temperature", "top_p", "top_k", "stop_sequences", "metadata");

    private AnthropicRequest() {}

    /** Returns the request for the number of a chat's tokens. vLLM and llama-server have this part of the API too. */
    static WireProtocol.Request count(Prompt prompt) throws WireProtocol.Unsupported {
        Translation request = of(prompt);
        NOT_COUNTED.forEach(request::drop);
        return request.to("/v1/messages/count_tokens");
    }

    static Translation of(Prompt prompt) throws WireProtocol.Unsupported {
        Translation request = new Translation(prompt).put("stream", true);
        request.passAll(List.of("thinking", "cache_control"));
        length(prompt, request);
        sampling(request);
        if (prompt.task() == Task.COMPLETION) {
            request.pass("system", "system")
                    .put(
                            "messages",
                            prompt.withPublished(List.of(
                                    Map.of("role", "user", "content", OpenAiProtocol.single(request.take("prompt"))))));
        } else {
            messages(prompt, request);
        }
        Object stop = request.take("stop");
        if (stop != null) {
            request.put("stop_sequences", stop instanceof List<?> ? stop : List.of(stop));
        }
        Object user = request.take("user");
        if (user != null) {
            request.put("metadata", Map.of("user_id", user));
        }
        Object n = request.take("n");
        if (n instanceof Number number && number.intValue() > 1) {
            request.leave("n");
        }
        tools(request);
        output(request);
        return request;
    }

    private static void sampling(Translation request) {
        for (String name : List.of("temperature", "top_p", "top_k")) {
            // with thinking, defaults are left out, because the API would refuse the job
            Object value = request.take(name);
            request.put(name, thinks(request) && !request.asks(name) ? null : value);
        }
        // newer models refuse temperature together with top_p
        if (request.asks("top_p") && !request.asks("temperature")) {
            request.drop("temperature");
        } else if (request.take("temperature") != null) {
            request.drop("top_p").leave("top_p");
        }
    }

    private static boolean thinks(Translation request) {
        return request.take("thinking") instanceof Map<?, ?> thinking && !"disabled".equals(thinking.get("type"));
    }

    /**
     * Sets the limit of the answer's length, which includes the thinking. If the job sets no limit, the job's budget
     * for thinking is added to the default limit.
     */
    private static void length(Prompt prompt, Translation request) {
        Object limit = request.take("max_completion_tokens", "max_tokens");
        long spent = prompt.published() == null ? 0 : prompt.published().tokens();
        Object most = limit == null ? (Object) Math.max(1, MAX_TOKENS - spent) : limit;
        if (!request.asks("max_completion_tokens", "max_tokens")
                && request.take("thinking") instanceof Map<?, ?> thinking
                && thinking.get("budget_tokens") instanceof Number budget
                && most instanceof Number answer) {
            most = answer.longValue() + budget.longValue();
        }
        request.put("max_tokens", most);
    }

    private static void output(Translation request) {
        Map<String, Object> output = new LinkedHashMap<>();
        Object format = request.take("response_format");
        if (format instanceof Map<?, ?> given
                && given.get("json_schema") instanceof Map<?, ?> schema
                && schema.get("schema") != null) {
            output.put("format", Map.of("type", "json_schema", "schema", schema.get("schema")));
        } else if (format instanceof Map<?, ?> given && !"text".equals(given.get("type"))) {
            request.leave("response_format");
        }
        Object effort = request.take("reasoning_effort");
        if (effort != null && List.of("low", "medium", "high", "xhigh", "max").contains(String.valueOf(effort))) {
            output.put("effort", effort);
        } else if (effort != null) {
            request.leave("reasoning_effort");
        }
        request.put("output_config", output.isEmpty() ? null : output);
    }

    private static void tools(Translation request) throws WireProtocol.Unsupported {
        Object given = request.take("tools");
        Object choice = request.take("tool_choice");
        Object parallel = request.take("parallel_tool_calls");
        if (!(given instanceof List<?> tools) || tools.isEmpty()) {
            return;
        }
        List<Object> translated = new ArrayList<>();
        for (int i = 0; i < tools.size(); i++) {
            if (!(tools.get(i) instanceof Map<?, ?> tool) || !(tool.get("function") instanceof Map<?, ?> function)) {
                throw WireProtocol.Unsupported.here("tools[" + i + "]", "anthropic takes functions only");
            }
            Map<String, Object> copy = new LinkedHashMap<>();
            copy.put("name", function.get("name"));
            copy.put(
                    "input_schema",
                    function.get("parameters") == null ? Map.of("type", "object") : function.get("parameters"));
            for (String field : List.of("description", "strict")) {
                if (function.get(field) != null) {
                    copy.put(field, function.get(field));
                }
            }
            Object cache =
                    tool.get("cache_control") == null ? function.get("cache_control") : tool.get("cache_control");
            if (cache != null) {
                copy.put("cache_control", cache);
            }
            translated.add(copy);
        }
        request.put("tools", translated);
        Map<String, Object> chosen = choice(choice);
        if (Boolean.FALSE.equals(parallel) && !"none".equals(choice)) {
            chosen.putIfAbsent("type", "auto");
            chosen.put("disable_parallel_tool_use", true);
        }
        request.put("tool_choice", chosen.isEmpty() ? null : chosen);
    }

    private static Map<String, Object> choice(@Nullable Object choice) {
        Map<String, Object> chosen = new LinkedHashMap<>();
        switch (choice) {
            case String word -> chosen.put("type", word.equals("required") ? "any" : word);
            case Map<?, ?> object
            when object.get("function") instanceof Map<?, ?> function -> {
                chosen.put("type", "tool");
                chosen.put("name", function.get("name"));
            }
            case null, default -> {}
        }
        return chosen;
    }

    private static void messages(Prompt prompt, Translation request) throws WireProtocol.Unsupported {
        List<Object> system = new ArrayList<>();
        List<Map<String, Object>> messages = new ArrayList<>();
        Object given = request.take("messages");
        for (Object each : given instanceof List<?> list ? list : List.of()) {
            if (!(each instanceof Map<?, ?> message)) {
                continue;
            }
            String role = String.valueOf(message.get("role"));
            switch (role) {
                case "system", "developer" -> system.addAll(blocks(message));
                case "assistant" -> add(messages, "assistant", assistant(message));
                case "tool", "function" -> add(messages, "user", List.of(result(message)));
                default -> add(messages, "user", blocks(message));
            }
        }
        request.put("system", system.isEmpty() ? null : system).put("messages", prompt.withPublished(messages));
    }

    /**
     * Merges consecutive messages of the same role, because the API expects the results of several tools in one
     * message.
     */
    private static void add(List<Map<String, Object>> messages, String role, List<Object> blocks) {
        if (blocks.isEmpty()) {
            return;
        }
        if (!messages.isEmpty() && role.equals(messages.getLast().get("role"))) {
            List<Object> both = new ArrayList<>();
            if (messages.getLast().get("content") instanceof List<?> before) {
                both.addAll(before);
            }
            both.addAll(blocks);
            messages.set(messages.size() - 1, Map.of("role", role, "content", both));
        } else {
            messages.add(Map.of("role", role, "content", blocks));
        }
    }

    private static List<Object> assistant(Map<?, ?> message) throws WireProtocol.Unsupported {
        List<Object> blocks = new ArrayList<>();
        // repeats the thinking of an earlier answer unchanged, because the API expects it at the beginning of a turn
        // with tools
        if (message.get("thinking_blocks") instanceof List<?> thinking) {
            thinking.forEach(block -> thought(block).ifPresent(blocks::add));
        }
        blocks.addAll(blocks(message));
        if (message.get("tool_calls") instanceof List<?> calls) {
            for (Object each : calls) {
                if (each instanceof Map<?, ?> call && call.get("function") instanceof Map<?, ?> function) {
                    JsonNode input = Json.parseLenient(String.valueOf(function.get("arguments")));
                    Map<String, Object> use = new LinkedHashMap<>();
                    use.put("type", "tool_use");
                    use.put("id", call.get("id"));
                    use.put("name", function.get("name"));
                    use.put("input", input == null || !input.isObject() ? Map.of() : input);
                    if (call.get("cache_control") != null) {
                        use.put("cache_control", call.get("cache_control"));
                    }
                    blocks.add(use);
                }
            }
        }
        return blocks;
    }

    /**
     * Returns a thinking block with only the fields of such a block; empty for any other block. Other blocks and fields
     * could refer to something that the server opens.
     */
    private static Optional<Object> thought(@Nullable Object given) {
        if (!(given instanceof Map<?, ?> block) || !THOUGHTS.contains(String.valueOf(block.get("type")))) {
            return Optional.empty();
        }
        Map<String, Object> thought = new LinkedHashMap<>();
        for (String field : List.of("type", "thinking", "signature", "data")) {
            if (block.get(field) instanceof String text) {
                thought.put(field, text);
            }
        }
        return Optional.of(thought);
    }

    private static Object result(Map<?, ?> message) throws WireProtocol.Unsupported {
        Map<String, Object> result = new LinkedHashMap<>();
        result.put("type", "tool_result");
        result.put("tool_use_id", message.get("tool_call_id"));
        Object content = message.get("content");
        result.put("content", content instanceof List<?> ? blocks(content) : String.valueOf(content));
        if (Boolean.TRUE.equals(message.get("is_error"))) {
            result.put("is_error", true);
        }
        if (message.get("cache_control") != null) {
            result.put("cache_control", message.get("cache_control"));
        }
        return result;
    }

    /**
     * Converts a message's content to blocks. If the content is a single text, the cache mark may be in the message
     * itself.
     */
    private static List<Object> blocks(Map<?, ?> message) throws WireProtocol.Unsupported {
        Object cache = message.get("cache_control");
        return cache != null && message.get("content") instanceof String text && !text.isEmpty()
                ? List.of(Map.of("type", "text", "text", text, "cache_control", cache))
                : blocks(message.get("content"));
    }

    private static List<Object> blocks(@Nullable Object content) throws WireProtocol.Unsupported {
        if (content instanceof String text) {
            // the API refuses an empty text
            return text.isEmpty() ? List.of() : List.of(Map.of("type", "text", "text", text));
        }
        List<Object> blocks = new ArrayList<>();
        for (Object part : content instanceof List<?> parts ? parts : List.of()) {
            if (part instanceof Map<?, ?> fields) {
                blocks.add(block(fields));
            }
        }
        return blocks;
    }

    private static Object block(Map<?, ?> part) throws WireProtocol.Unsupported {
        String type = String.valueOf(part.get("type"));
        Object image = part.get("image_url");
        Object url = image instanceof Map<?, ?> fields ? fields.get("url") : image;
        if (url instanceof String data) {
            return source("image", InlineData.of(data), part);
        }
        if (part.get("file") instanceof Map<?, ?> file && file.get("file_data") instanceof String data) {
            return source("document", InlineData.of(data), part);
        }
        if (part.get("source") instanceof Map<?, ?> source && source.get("url") instanceof String data) {
            return source(type, InlineData.of(data), part);
        }
        return switch (type) {
            case "text", "image", "document", "thinking", "redacted_thinking", "tool_use", "tool_result" -> part;
            default ->
                throw WireProtocol.Unsupported.here("messages", "anthropic takes no part of type '" + type + "'");
        };
    }

    private static Object source(String type, InlineData data, Map<?, ?> part) {
        Map<String, Object> block = new LinkedHashMap<>();
        block.put("type", type);
        block.put("source", Map.of("type", "base64", "media_type", data.type(), "data", data.base64()));
        if (part.get("cache_control") != null) {
            block.put("cache_control", part.get("cache_control"));
        }
        return block;
    }
}
