package dev.penstock.api.responses;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.job.JobFailure;
import dev.penstock.job.Usage;
import dev.penstock.wire.Json;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Builds the object of a response in the form of OpenAI's API. */
final class ResponseObject {
    /** The fields of the request that the object repeats, with the value for an absent field; null for JSON's null. */
    private static final List<Map.Entry<String, String>> REPEATED = List.of(
            Map.entry("background", "false"),
            Map.entry("instructions", "null"),
            Map.entry("max_output_tokens", "null"),
            Map.entry("metadata", "{}"),
            Map.entry("parallel_tool_calls", "true"),
            Map.entry("previous_response_id", "null"),
            Map.entry("reasoning", "{\"effort\":null,\"summary\":null}"),
            Map.entry("safety_identifier", "null"),
            Map.entry("service_tier", "\"default\""),
            Map.entry("store", "false"),
            Map.entry("temperature", "null"),
            Map.entry("text", "{\"format\":{\"type\":\"text\"}}"),
            Map.entry("tool_choice", "\"auto\""),
            Map.entry("tools", "[]"),
            Map.entry("top_logprobs", "null"),
            Map.entry("top_p", "null"),
            Map.entry("truncation", "\"disabled\""),
            Map.entry("user", "null"));

    private ResponseObject() {}

    /**
     * How a response ended.
     *
     * @param incomplete why the answer is not complete, as OpenAI names it; null if it is complete
     * @param error the failure as JSON; null if there is none
     */
    record Ending(
            ResponseStatus status,
            @Nullable String incomplete,
            @Nullable ObjectNode error) {
        static final Ending COMPLETED = new Ending(ResponseStatus.COMPLETED, null, null);
        static final Ending CANCELLED = new Ending(ResponseStatus.CANCELLED, null, null);

        static Ending incomplete(String why) {
            return new Ending(ResponseStatus.INCOMPLETE, why, null);
        }

        static Ending failed(ObjectNode error) {
            return new Ending(ResponseStatus.FAILED, null, error);
        }
    }

    /** Returns the object of a response that has not ended. */
    static ObjectNode open(ResponseHead head, ResponseStatus status, @Nullable String model) {
        return object(head, status, model, Json.mapper().createArrayNode(), null, null, null, null);
    }

    /**
     * Returns the object of a response that has ended.
     *
     * @param model the model that answered; null if the model is not known
     * @param endedAt seconds since the epoch
     */
    static ObjectNode ended(
            ResponseHead head,
            Ending ending,
            @Nullable String model,
            ArrayNode output,
            @Nullable Usage usage,
            long endedAt) {
        Long completedAt = ending.status() == ResponseStatus.COMPLETED ? (Long) endedAt : null;
        return object(head, ending.status(), model, output, completedAt, ending.error(), ending.incomplete(), usage);
    }

    private static ObjectNode object(
            ResponseHead head,
            ResponseStatus status,
            @Nullable String model,
            ArrayNode output,
            @Nullable Long completedAt,
            @Nullable ObjectNode error,
            @Nullable String incomplete,
            @Nullable Usage usage) {
        ObjectNode object = Json.mapper().createObjectNode();
        object.put("id", head.id()).put("object", "response").put("created_at", head.createdAt());
        object.put("status", status.wireName()).put("completed_at", completedAt);
        object.set("error", error);
        if (incomplete == null) {
            object.putNull("incomplete_details");
        } else {
            object.putObject("incomplete_details").put("reason", incomplete);
        }
        object.put("model", model == null ? head.asked().path("model").asText("") : model);
        object.set("output", output);
        for (Map.Entry<String, String> field : REPEATED) {
            JsonNode given = head.asked().get(field.getKey());
            object.set(
                    field.getKey(),
                    given == null || given.isNull() ? Json.parseLenient(field.getValue()) : given.deepCopy());
        }
        object.set("usage", usage == null ? null : usage(usage));
        return object;
    }

    private static ObjectNode usage(Usage usage) {
        ObjectNode object = Json.mapper().createObjectNode();
        object.put("input_tokens", usage.promptTokens());
        object.putObject("input_tokens_details")
                .put("cached_tokens", usage.cachedTokens())
                .put("cache_write_tokens", 0);
        object.put("output_tokens", usage.completionTokens());
        object.putObject("output_tokens_details").put("reasoning_tokens", usage.reasoningTokens());
        return object.put("total_tokens", usage.totalTokens());
    }

    /** Returns the usage in a chat completion; null if it has none. */
    static @Nullable Usage usage(JsonNode chat) {
        return chat.isObject()
                ? new Usage(
                        chat.path("prompt_tokens").asLong(),
                        chat.path("completion_tokens").asLong(),
                        chat.path("prompt_tokens_details").path("cached_tokens").asLong(),
                        chat.path("completion_tokens_details")
                                .path("reasoning_tokens")
                                .asLong())
                : null;
    }

    /**
     * Returns the error of a response. OpenAI's clients know few codes, so {@code type} has the code of Penstock.
     *
     * @param code the code of a {@link JobFailure}
     */
    static ObjectNode error(String code, String message) {
        String known = switch (code) {
            case "rate_limited" -> "rate_limit_exceeded";
            case "invalid_request", "context_length_exceeded" -> "invalid_prompt";
            default -> "server_error";
        };
        return Json.mapper()
                .createObjectNode()
                .put("code", known)
                .put("message", message)
                .put("type", code);
    }

    static ObjectNode error(JobFailure failure) {
        return error(failure.code().wireName(), failure.message());
    }
}
