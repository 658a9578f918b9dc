package dev.penstock.api.anthropic;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.job.JobFailure;
import dev.penstock.wire.Json;

/** Writes errors in Anthropic's form: {@code {"type":"error","error":{"type","message"}}}. */
final class AnthropicError {
    private AnthropicError() {}

    static ObjectNode of(JobFailure failure) {
        return of(failure.code().httpStatus(), failure.message());
    }

    static ObjectNode of(int status, String message) {
        ObjectNode document = Json.mapper().createObjectNode().put("type", "error");
        document.putObject("error").put("type", type(status)).put("message", message);
        return document;
    }

    /** Returns Anthropic's error type for an HTTP status. Clients decide by it whether to send the request again. */
    private static String type(int status) {
        return switch (status) {
            case 401 -> "authentication_error";
            case 403 -> "permission_error";
            case 404 -> "not_found_error";
            case 413 -> "request_too_large";
            case 429 -> "rate_limit_error";
            case 503 -> "overloaded_error";
            case 504 -> "timeout_error";
            default -> status < 500 ? "invalid_request_error" : "api_error";
        };
    }
}
