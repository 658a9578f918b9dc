package dev.penstock.node;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.JobFailure;
import dev.penstock.wire.Json;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** What a model server's refusal means, by its status and its own words. */
final class ServerErrors {
    private static final int LONGEST = 300;

    private ServerErrors() {}

    /** @param who the node, as a user knows it */
    static JobFailure refused(String who, int status, String body) {
        JsonNode json = Json.parseLenient(body);
        String words = json == null ? shorten(body) : message(json);
        String said = "%s answered %d: %s".formatted(who, status, words.isEmpty() ? "(no text)" : words);
        return JobFailure.of(code(status, words.toLowerCase(Locale.ROOT), json), said);
    }

    private static JobFailure.Code code(int status, String words, @Nullable JsonNode json) {
        boolean context = words.contains("context length")
                || words.contains("context size")
                || words.contains("exceed_context_size");
        return switch (status) {
            case 400, 422 -> context ? JobFailure.Code.CONTEXT_LENGTH_EXCEEDED : JobFailure.Code.INVALID_REQUEST;
            case 401, 403 -> JobFailure.Code.NODE_UNAUTHORIZED;
            // a 404 on the path has no error (vLLM: detail; Ollama: plain text): the server is not what it was taken
            // for
            case 404 ->
                json != null && json.has("error") ? JobFailure.Code.MODEL_NOT_FOUND : JobFailure.Code.NODE_ERROR;
            case 413 -> JobFailure.Code.CONTEXT_LENGTH_EXCEEDED;
            case 429, 503 -> JobFailure.Code.NODE_OVERLOADED;
            // Ollama says 500 to an option of the wrong type and to an unknown format
            case 500 ->
                words.contains("must be of type") || words.contains("invalid format")
                        ? JobFailure.Code.INVALID_REQUEST
                        : JobFailure.Code.NODE_ERROR;
            default -> JobFailure.Code.NODE_ERROR;
        };
    }

    /** The server's own words: error as an object or a string, vLLM's detail, a runner's error nested as a string. */
    static String message(JsonNode document) {
        JsonNode error = document.path("error");
        if (error.isTextual()) {
            JsonNode nested = error.textValue().startsWith("{") ? Json.parseLenient(error.textValue()) : null;
            return nested == null ? shorten(error.textValue()) : message(nested);
        }
        if (error.isObject()) {
            String type = error.path("type").asText("");
            String words = error.path("message").asText("");
            return shorten(type.startsWith("exceed_context") ? type + ": " + words : words);
        }
        JsonNode detail = document.has("detail") ? document.get("detail") : document.path("message");
        return shorten(detail.isTextual() ? detail.textValue() : document.toString());
    }

    /** One line, not too long. */
    static String shorten(String words) {
        String line = words.strip().replaceAll("\\s+", " ");
        return line.length() > LONGEST ? line.substring(0, LONGEST) + "…" : line;
    }
}
