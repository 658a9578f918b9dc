package dev.penstock.node;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.JobFailure;
import dev.penstock.wire.Json;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.jspecify.annotations.Nullable;

/** What a model server's refusal means, by its status and its own words. */
final class ServerErrors {
    private static final int LONGEST = 300;
    private static final int MOST_DIGITS = 18;

    /** Refusals are quoted in refusals. */
    private static final int DEEPEST = 8;

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
        if (status == 501 || (status == 404 && (embeddings || isPathUnknown(json)) && !hasError(json))) {
            return new Meaning.Incapable(embeddings ? "makes no embeddings" : "cannot do that");
        }
        if (isTooLongByCode(json) || (refused && tooLong(words))) {
            return new Meaning.PromptTooLong();
        }
        // a 404 on the path has no error (vLLM: detail; Ollama: plain text): the server is not what it was taken for
        boolean model = says(words, "model", "deployment", "not found, try pulling");
        // llama-server as a router says 400
        boolean ofRouter = status == 400 && words.matches("model '.*' not found");
        if ((status == 404 && hasError(json) && model) || ofRouter) {
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

    private static boolean hasError(@Nullable JsonNode json) {
        return json != null && json.has("error");
    }

    /** Whether a document says that something failed, in any form that servers use. */
    static boolean isError(JsonNode document) {
        JsonNode error = document.path("error");
        boolean said = error.isTextual() ? !error.textValue().isBlank() : error.isContainerNode() && !error.isEmpty();
        if (said
                || error.isNumber()
                || error.asBoolean(false)
                || isError(document, "object")
                || isError(document, "type")) {
            return true;
        }
        if (document.path("choices").isArray()) {
            return false;
        }
        boolean numbered = Stream.of("code", "status", "status_code", "statusCode", "error_code")
                .anyMatch(document::hasNonNull);
        return document.hasNonNull("detail")
                || !document.path("errors").isEmpty()
                || (document.path("message").isTextual() && numbered);
    }

    private static boolean isError(JsonNode document, String field) {
        return document.path(field).asText("").equals("error");
    }

    /** A failure that a server tells in words alone. */
    static JobFailure failure(String words) {
        String line = shorten(words);
        return JobFailure.of(
                tooLong(line.toLowerCase(Locale.ROOT))
                        ? JobFailure.Code.CONTEXT_LENGTH_EXCEEDED
                        : JobFailure.Code.NODE_ERROR,
                "failed: " + line);
    }

    /** What a server says that fails with status 200. */
    static String failing(JsonNode event, boolean begun) {
        return (begun ? "failed in mid-stream: " : "answered 200 with an error: ") + message(event);
    }

    /** The code of the refusal, or of the refusal that is quoted in it. */
    private static boolean isTooLongByCode(@Nullable JsonNode json) {
        return json != null && isTooLongByCode(json, 0);
    }

    private static boolean isTooLongByCode(JsonNode json, int depth) {
        if (depth > DEEPEST) {
            return false;
        }
        if (json.isTextual() && json.textValue().strip().startsWith("{")) {
            JsonNode nested = Json.parseLenient(json.textValue());
            return nested != null && isTooLongByCode(nested, depth + 1);
        }
        boolean coded = Stream.of("code", "type")
                .map(name -> json.path(name).asText(""))
                .anyMatch(code -> code.equals("context_length_exceeded") || code.equals("exceed_context_size_error"));
        return coded
                || StreamSupport.stream(json.spliterator(), false).anyMatch(inner -> isTooLongByCode(inner, depth + 1));
    }

    private static boolean tooLong(String words) {
        return says(
                words,
                "context length",
                "context_length",
                "context window",
                "contextwindow",
                "context limit",
                "maximum model length",
                "maximum number of tokens",
                "too many tokens",
                "input is too long",
                "prompt too long",
                "prompt length",
                "max_new_tokens must be <=",
                "string_above_max_length",
                "exceed the configured limit",
                "cannot be greater than max_model_len",
                "context size",
                "exceed_context_size",
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

    /** What an error in an answer of status 200 means: its status is in a code or a type. */
    static JobFailure.Code midStream(JsonNode event) {
        return switch (meaning(status(event), event.toString(), false)) {
            case Meaning.Coded(JobFailure.Code code) -> code;
            case Meaning.UnknownModel(), Meaning.Incapable(String _) -> JobFailure.Code.MODEL_NOT_FOUND;
            case Meaning.PromptTooLong() -> JobFailure.Code.CONTEXT_LENGTH_EXCEEDED;
        };
    }

    private static int status(JsonNode event) {
        JsonNode error = event.path("error").isObject() ? event.path("error") : event;
        int named = switch (error.path("type").asText("")) {
            case "overloaded_error", "rate_limit_error", "rate_limit_exceeded" -> 529;
            case "authentication_error", "permission_error", "AuthenticationError" -> 401;
            case "invalid_request_error", "BadRequestError", "BadRequest", "exceed_context_size_error" -> 400;
            case "not_found_error", "NotFoundError" -> 404;
            default -> 0;
        };
        if (named > 0) {
            return named;
        }
        return Stream.of("code", "status", "status_code", "statusCode", "error_code")
                .flatMap(name -> Stream.of(error.path(name), event.path(name)))
                .mapToInt(code -> code.asInt(0))
                .filter(code -> code >= 400 && code < 600)
                .findFirst()
                .orElse(500);
    }

    /** A server's own words, on one line; a caller that shows them cleans and shortens them. */
    static String words(String body) {
        JsonNode json = Json.parseLenient(body);
        return json == null ? line(body) : message(json);
    }

    /** Error as an object or a string, vLLM's detail, a refusal nested as a string; on one line. */
    static String message(JsonNode document) {
        String type =
                document.path("error").path("type").asText(document.path("type").asText(""));
        String words = message(document, 0);
        return line(
                type.startsWith("exceed_context")
                        ? type + ": " + words
                        : words.isEmpty() ? document.toString() : words);
    }

    private static String message(JsonNode value, int depth) {
        if (depth > DEEPEST) {
            return "";
        }
        if (value.isTextual()) {
            JsonNode nested = value.textValue().strip().startsWith("{") ? Json.parseLenient(value.textValue()) : null;
            String inner = nested == null ? "" : message(nested, depth + 1);
            return inner.isEmpty() ? value.textValue() : inner;
        }
        if (value.isArray()) {
            return StreamSupport.stream(value.spliterator(), false)
                    .map(one -> message(one, depth + 1))
                    .filter(words -> !words.isEmpty())
                    .collect(Collectors.joining("; "));
        }
        for (String name : List.of("error", "detail", "errors", "message", "msg", "description", "error_message")) {
            String words = message(value.path(name), depth + 1);
            if (!words.isEmpty()) {
                // what OpenRouter quotes of the server behind it
                String quoted = message(value.path("metadata").path("raw"), depth + 1);
                return quoted.isEmpty() ? words : words + ": " + quoted;
            }
        }
        return "";
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
        return said.find() ? number(said.group(1)) : 0;
    }

    /** Digits as a number; 0: nothing counts so far. */
    static long number(String digits) {
        return digits.length() > MOST_DIGITS ? 0 : Long.parseLong(digits);
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
