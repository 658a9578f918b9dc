package dev.penstock.node.protocol.answer;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.JobFailure;
import dev.penstock.job.Task;
import dev.penstock.wire.Json;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.jspecify.annotations.Nullable;

/** Interprets a model server's refusal by its status and its text. */
public final class ServerErrors {
    private static final int LONGEST = 300;
    private static final int MOST_DIGITS = 18;

    /** The deepest level that is read, because a refusal may quote another refusal. */
    private static final int DEEPEST = 8;

    private ServerErrors() {}

    /** The meaning of a refusal. */
    public sealed interface Meaning {
        /** A refusal that its code describes completely. */
        record Coded(JobFailure.Code code) implements Meaning {}

        record UnknownModel() implements Meaning {}

        /** The model or the server does not have the requested feature. */
        record Incapable(String what) implements Meaning {}

        record PromptTooLong() implements Meaning {}
    }

    /** @param task the task of the refused request; null if it was no request of a job */
    public static Meaning meaning(int status, String body, @Nullable Task task) {
        JsonNode json = Json.parseLenient(body);
        // only the beginning, because the rest of a long text may quote the prompt
        String words = shorten(words(body)).toLowerCase(Locale.ROOT);
        boolean refused = status >= 400 && status != 429 && status != 503;
        if (refused
                && mentions(
                        words,
                        "image input is not supported",
                        "not a multimodal model",
                        "does not support image",
                        "does not support multimodal")) {
            return new Meaning.Incapable("takes no images");
        }
        if (refused && mentions(words, "no vision", "missing data required for image input", "support vision")) {
            return new Meaning.Incapable("takes no images");
        }
        if (refused && mentions(words, "does not support thinking")) {
            return new Meaning.Incapable("does not think");
        }
        if (refused && mentions(words, "does not support tools", "tool-call-parser")) {
            return new Meaning.Incapable("takes no tools");
        }
        // earlier versions of vLLM use 400 for this
        if (refused && mentions(words, "does not support embeddings")) {
            return new Meaning.Incapable("makes no embeddings");
        }
        if (refused && mentions(words, "does not support rerank", "does not support score")) {
            return new Meaning.Incapable("compares no texts");
        }
        if (refused
                && mentions(words, "does not support chat", "does not support generate", "does not support insert")) {
            return new Meaning.Incapable("cannot do that");
        }
        boolean isText = task == null || task.answersInText();
        if (status == 501 || (status == 404 && (!isText || isPathUnknown(json)) && !hasError(json))) {
            return new Meaning.Incapable(
                    isText ? "cannot do that" : task == Task.EMBEDDINGS ? "makes no embeddings" : "compares no texts");
        }
        if (isTooLongByCode(json) || (refused && tooLong(words))) {
            return new Meaning.PromptTooLong();
        }
        // a 404 for an unknown path has no field error (vLLM sends the field detail, and Ollama sends plain text); it
        // means that the server is not of the expected kind
        boolean model = mentions(words, "model", "deployment", "not found, try pulling");
        // llama-server in router mode answers 400 for an unknown model
        boolean ofRouter = status == 400 && words.matches("model '.*' not found");
        if ((status == 404 && hasError(json) && model) || ofRouter) {
            return new Meaning.UnknownModel();
        }
        // the account has no credit left, and waiting does not help
        boolean spent = status == 429 && mentions(code(json) + " " + words, "insufficient_quota", "credit balance");
        return new Meaning.Coded(spent ? JobFailure.Code.NODE_UNAUTHORIZED : code(status, words));
    }

    private static String code(@Nullable JsonNode json) {
        return json == null
                ? ""
                : json.at("/error/code").asText("") + " "
                        + json.at("/error/type").asText("");
    }

    /** Returns whether the server is up, but is still loading its model. */
    public static boolean isLoading(int status, String body) {
        String words = shorten(words(body)).toLowerCase(Locale.ROOT);
        return status == 503 && mentions(words, "loading", "starting up", "warming up", "not ready");
    }

    /**
     * Returns whether this is vLLM's answer for an unknown path. A pooling model has no path for chats, and a
     * generating model has no path for embeddings.
     */
    private static boolean isPathUnknown(@Nullable JsonNode json) {
        return json != null && "Not Found".equals(json.path("detail").textValue());
    }

    private static boolean hasError(@Nullable JsonNode json) {
        return json != null && json.has("error");
    }

    /** Returns whether a document reports a failure, in any form that servers use. */
    public static boolean isError(JsonNode document) {
        JsonNode error = document.path("error");
        boolean hasContent =
                error.isTextual() ? !error.textValue().isBlank() : error.isContainerNode() && !error.isEmpty();
        if (hasContent
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

    /** Returns a failure that the server reports as text only. */
    static JobFailure failure(String words) {
        String line = shorten(words);
        return JobFailure.of(
                tooLong(line.toLowerCase(Locale.ROOT))
                        ? JobFailure.Code.CONTEXT_LENGTH_EXCEEDED
                        : JobFailure.Code.NODE_ERROR,
                "failed: " + line);
    }

    /** Returns the message of a failure that the server reports with status 200. */
    public static String failing(JsonNode event, boolean begun) {
        return (begun ? "failed in mid-stream: " : "answered 200 with an error: ") + message(event);
    }

    /** Returns whether the prompt is too long, by the code of the refusal or of a refusal that it quotes. */
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
        return mentions(
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

    private static boolean mentions(String words, String... any) {
        return Stream.of(any).anyMatch(words::contains);
    }

    private static JobFailure.Code code(int status, String words) {
        return switch (status) {
            case 400, 422 -> JobFailure.Code.INVALID_REQUEST;
            case 401, 402, 403 -> JobFailure.Code.NODE_UNAUTHORIZED;
            case 413 -> JobFailure.Code.CONTEXT_LENGTH_EXCEEDED;
            // Anthropic uses 529
            case 429, 503, 529 -> JobFailure.Code.NODE_OVERLOADED;
            // Ollama uses 500 for an option of the wrong type and for an unknown format
            case 500 ->
                mentions(words, "must be of type", "invalid format")
                        ? JobFailure.Code.INVALID_REQUEST
                        : JobFailure.Code.NODE_ERROR;
            default -> JobFailure.Code.NODE_ERROR;
        };
    }

    /**
     * Returns the code of an error in an answer with status 200. The error has its own status in a field code or type.
     */
    public static JobFailure.Code midStream(JsonNode event) {
        return switch (meaning(status(event), event.toString(), null)) {
            case Meaning.Coded(JobFailure.Code code) -> code;
            case Meaning.UnknownModel(), Meaning.Incapable(String _) -> JobFailure.Code.MODEL_NOT_FOUND;
            case Meaning.PromptTooLong() -> JobFailure.Code.CONTEXT_LENGTH_EXCEEDED;
        };
    }

    private static int status(JsonNode event) {
        JsonNode error = event.path("error").isObject() ? event.path("error") : event;
        int byType = switch (error.path("type").asText("")) {
            case "overloaded_error", "rate_limit_error", "rate_limit_exceeded" -> 529;
            case "authentication_error", "permission_error", "AuthenticationError" -> 401;
            case "invalid_request_error", "BadRequestError", "BadRequest", "exceed_context_size_error" -> 400;
            case "not_found_error", "NotFoundError" -> 404;
            default -> 0;
        };
        if (byType > 0) {
            return byType;
        }
        return Stream.of("code", "status", "status_code", "statusCode", "error_code")
                .flatMap(name -> Stream.of(error.path(name), event.path(name)))
                .mapToInt(code -> code.asInt(0))
                .filter(code -> code >= 400 && code < 600)
                .findFirst()
                .orElse(500);
    }

    /** Returns the server's own text, on one line. A caller that shows it must clean and shorten it. */
    public static String words(String body) {
        JsonNode json = Json.parseLenient(body);
        return json == null ? line(body) : message(json);
    }

    /**
     * Returns the message of an error on one line. The message may be in the field error, as an object or a string,
     * or in vLLM's field detail. It may also be inside a string that is itself a refusal in JSON.
     */
    public static String message(JsonNode document) {
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
        if (!value.isObject()) {
            return "";
        }
        for (String name : List.of("error", "detail", "errors", "message", "msg", "description", "error_message")) {
            String words = message(value.path(name), depth + 1);
            if (!words.isEmpty()) {
                // in this field, OpenRouter quotes the server to which it sent the request
                String quoted = message(value.path("metadata").path("raw"), depth + 1);
                return quoted.isEmpty() ? words : words + ": " + quoted;
            }
        }
        return "";
    }

    /**
     * Returns a count that a refusal reports in a field, such as llama-server's n_ctx, or in its text; 0 if it reports
     * none.
     */
    public static long count(String body, String field, Pattern inWords) {
        JsonNode json = Json.parseLenient(body);
        JsonNode error = json == null ? null : json.path("error");
        if (error != null && error.isTextual() && error.textValue().startsWith("{")) {
            return count(error.textValue(), field, inWords);
        }
        if (error != null && error.has(field)) {
            return error.path(field).asLong();
        }
        Matcher matcher = inWords.matcher(words(body));
        return matcher.find() ? number(matcher.group(1)) : 0;
    }

    /** Parses digits. Returns 0 if the number is too large. */
    public static long number(String digits) {
        return digits.length() > MOST_DIGITS ? 0 : Long.parseLong(digits);
    }

    /** Returns the text as one line, shortened. */
    public static String shorten(String words) {
        String line = line(words);
        return line.length() > LONGEST ? line.substring(0, LONGEST) + "…" : line;
    }

    private static String line(String words) {
        return words.strip().replaceAll("\\s+", " ");
    }
}
