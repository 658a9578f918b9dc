package dev.penstock.node;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.JobFailure;
import dev.penstock.wire.Json;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** What a model server's refusal means, by its status and its own words. */
final class ServerErrors {
    private static final int LONGEST = 300;

    private ServerErrors() {}

    /** What a refusal means. */
    sealed interface Meaning {
        /** Nothing beyond its code. */
        record Coded(JobFailure.Code code) implements Meaning {}

        record UnknownModel() implements Meaning {}

        /** The model, or the server, cannot do what is asked. */
        record Incapable(String what) implements Meaning {}

        record PromptTooLong() implements Meaning {}
    }

    /** @param embeddings whether embeddings were asked for */
    static Meaning meaning(int status, String body, boolean embeddings) {
        JsonNode json = Json.parseLenient(body);
        // what comes later may be the prompt's
        String words = shorten(words(body)).toLowerCase(Locale.ROOT);
        boolean refused = status >= 400 && status != 429 && status != 503;
        if (refused
                && says(
                        words,
                        "image input is not supported",
                        "not a multimodal model",
                        "does not support image",
                        "does not support multimodal")) {
            return new Meaning.Incapable("takes no images");
        }
        if (refused && says(words, "no vision", "missing data required for image input", "support vision")) {
            return new Meaning.Incapable("takes no images");
        }
        if (refused && says(words, "does not support thinking")) {
            return new Meaning.Incapable("does not think");
        }
        if (refused && says(words, "does not support tools", "tool-call-parser")) {
            return new Meaning.Incapable("takes no tools");
        }
        // earlier versions of vLLM say it with 400
        if (refused && says(words, "does not support embeddings")) {
            return new Meaning.Incapable("makes no embeddings");
        }
        if (refused && says(words, "does not support chat", "does not support generate", "does not support insert")) {
            return new Meaning.Incapable("cannot do that");
        }
        if (status == 501 || (status == 404 && (embeddings || isPathUnknown(json)) && !isError(json))) {
            return new Meaning.Incapable(embeddings ? "makes no embeddings" : "cannot do that");
        }
        if (refused && tooLong(words, json)) {
            return new Meaning.PromptTooLong();
        }
        // a 404 on the path has no error (vLLM: detail; Ollama: plain text): the server is not what it was taken for
        boolean model = says(words, "model", "deployment", "not found, try pulling");
        // llama-server as a router says 400
        boolean ofRouter = status == 400 && words.matches("model '.*' not found");
        if ((status == 404 && isError(json) && model) || ofRouter) {
            return new Meaning.UnknownModel();
        }
        // what was paid for is used up: waiting does not help
        boolean spent = status == 429 && says(code(json) + " " + words, "insufficient_quota", "credit balance");
        return new Meaning.Coded(spent ? JobFailure.Code.NODE_UNAUTHORIZED : code(status, words));
    }

    private static String code(@Nullable JsonNode json) {
        return json == null
                ? ""
                : json.at("/error/code").asText("") + " "
                        + json.at("/error/type").asText("");
    }

    /** Whether the server is there, and only loads its model. */
    static boolean isLoading(int status, String body) {
        String words = shorten(words(body)).toLowerCase(Locale.ROOT);
        return status == 503 && says(words, "loading", "starting up", "warming up", "not ready");
    }

    /** How vLLM says that it serves no such path: one that pools knows no chat, one that generates no embeddings. */
    private static boolean isPathUnknown(@Nullable JsonNode json) {
        return json != null && "Not Found".equals(json.path("detail").textValue());
    }

    private static boolean isError(@Nullable JsonNode json) {
        return json != null && json.has("error");
    }

    private static boolean tooLong(String words, @Nullable JsonNode json) {
        boolean coded = json != null
                && "context_length_exceeded".equals(json.at("/error/code").textValue());
        return coded || tooLong(words);
    }

    private static boolean tooLong(String words) {
        return says(
                words,
                "context length",
                "exceed context limit",
                "exceed the configured limit",
                "cannot be greater than max_model_len",
                "context size",
                "exceed_context_size",
                "context_length_exceeded",
                "prompt is too long",
                "is too large to process");
    }

    private static boolean says(String words, String... any) {
        return Stream.of(any).anyMatch(words::contains);
    }

    private static JobFailure.Code code(int status, String words) {
        return switch (status) {
            case 400, 422 -> JobFailure.Code.INVALID_REQUEST;
            case 401, 402, 403 -> JobFailure.Code.NODE_UNAUTHORIZED;
            case 413 -> JobFailure.Code.CONTEXT_LENGTH_EXCEEDED;
            // 529 is Anthropic's
            case 429, 503, 529 -> JobFailure.Code.NODE_OVERLOADED;
            // Ollama says 500 to an option of the wrong type and to an unknown format
            case 500 ->
                says(words, "must be of type", "invalid format")
                        ? JobFailure.Code.INVALID_REQUEST
                        : JobFailure.Code.NODE_ERROR;
            default -> JobFailure.Code.NODE_ERROR;
        };
    }

    /** What an error event in a stream means: it has no status, but a code or a type. */
    static JobFailure.Code midStream(JsonNode event) {
        JsonNode error = event.path("error");
        String words = shorten(message(event)).toLowerCase(Locale.ROOT);
        int status = switch (error.path("type").asText("")) {
            case "overloaded_error", "rate_limit_error" -> 529;
            case "authentication_error", "permission_error" -> 401;
            case "invalid_request_error", "BadRequestError", "exceed_context_size_error" -> 400;
            default -> error.path("code").asInt(500);
        };
        return tooLong(words, event) ? JobFailure.Code.CONTEXT_LENGTH_EXCEEDED : code(status, words);
    }

    /** A server's own words, on one line; whoever shows them cleans and shortens them. */
    static String words(String body) {
        JsonNode json = Json.parseLenient(body);
        return json == null ? line(body) : message(json);
    }

    /** Error as an object or a string, vLLM's detail, a runner's error nested as a string; on one line. */
    static String message(JsonNode document) {
        JsonNode error = document.path("error");
        if (error.isTextual()) {
            JsonNode nested = error.textValue().startsWith("{") ? Json.parseLenient(error.textValue()) : null;
            return nested == null ? line(error.textValue()) : message(nested);
        }
        if (error.isObject()) {
            String type = error.path("type").asText("");
            String words = error.path("message").asText("");
            return line(type.startsWith("exceed_context") ? type + ": " + words : words);
        }
        JsonNode detail = document.has("detail") ? document.get("detail") : document.path("message");
        return line(detail.isTextual() ? detail.textValue() : document.toString());
    }

    /** A count that a refusal tells, in a field, as llama-server's n_ctx, or in its words; 0: it tells none. */
    static long count(String body, String field, Pattern inWords) {
        JsonNode json = Json.parseLenient(body);
        JsonNode error = json == null ? null : json.path("error");
        if (error != null && error.isTextual() && error.textValue().startsWith("{")) {
            return count(error.textValue(), field, inWords);
        }
        if (error != null && error.has(field)) {
            return error.path(field).asLong();
        }
        Matcher said = inWords.matcher(words(body));
        return said.find() ? Long.parseLong(said.group(1)) : 0;
    }

    /** One line, not too long. */
    static String shorten(String words) {
        String line = line(words);
        return line.length() > LONGEST ? line.substring(0, LONGEST) + "…" : line;
    }

    private static String line(String words) {
        return words.strip().replaceAll("\\s+", " ");
    }
}
