package dev.penstock.api.call;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.job.JobFailure;
import dev.penstock.wire.document.ErrorDocument;
import jakarta.ws.rs.WebApplicationException;
import jakarta.ws.rs.core.MediaType;
import jakarta.ws.rs.core.Response;
import java.time.Duration;
import java.util.Optional;
import org.jboss.logging.Logger;
import org.jboss.resteasy.reactive.server.ServerExceptionMapper;

/** Answers every error of the REST API in OpenAI's format, whichever part of the service found the error. */
public final class ErrorAnswers {
    private static final Logger LOG = Logger.getLogger(ErrorAnswers.class);
    private static final String RETRY_AFTER_SECONDS = "2";

    @ServerExceptionMapper
    Response of(ApiException e) {
        Response.ResponseBuilder answer = answer(e.failure());
        if (e.id() != null) {
            ObjectNode document = ErrorDocument.of(e.failure());
            document.put("id", e.id().value());
            answer.entity(document).header("Location", "/v1/jobs/" + e.id());
        }
        return answer.build();
    }

    @ServerExceptionMapper
    Response of(WebApplicationException e) {
        int status = e.getResponse().getStatus();
        if (status < 400) {
            return e.getResponse();
        }
        JobFailure.Code code = switch (status) {
            case 401 -> JobFailure.Code.UNAUTHORIZED;
            case 403 -> JobFailure.Code.FORBIDDEN;
            case 404 -> JobFailure.Code.NOT_FOUND;
            case 413 -> JobFailure.Code.TOO_LARGE;
            case 415 -> JobFailure.Code.UNSUPPORTED_MEDIA_TYPE;
            default -> status < 500 ? JobFailure.Code.INVALID_REQUEST : JobFailure.Code.INTERNAL;
        };
        String words = switch (status) {
            case 404 -> "no such resource: the API is described at /q/openapi";
            case 405 -> "this method is not available here";
            case 406 -> "nothing here produces what Accept asks for";
            case 415 -> "send application/json, or application/x-ndjson to POST /v1/jobs";
            default -> String.valueOf(e.getMessage());
        };
        return answer(JobFailure.of(code, words)).status(status).build();
    }

    @ServerExceptionMapper
    Response of(RuntimeException e) {
        LOG.error("a call failed", e);
        return answer(JobFailure.of(JobFailure.Code.INTERNAL, "Penstock failed; its log has the reason"))
                .build();
    }

    private static Response.ResponseBuilder answer(JobFailure failure) {
        int status = failure.code().httpStatus();
        Response.ResponseBuilder answer =
                Response.status(status).type(MediaType.APPLICATION_JSON_TYPE).entity(ErrorDocument.of(failure));
        retryAfter(failure).ifPresent(seconds -> answer.header("Retry-After", seconds));
        return answer;
    }

    /** Returns the value of the header {@code Retry-After}; empty if the failure has none. */
    public static Optional<String> retryAfter(JobFailure failure) {
        int status = failure.code().httpStatus();
        if (status != 503 && status != 429) {
            return Optional.empty();
        }
        Duration after = failure.again().after();
        return Optional.of(
                after == null
                        ? RETRY_AFTER_SECONDS
                        : Long.toString(Math.max(1, after.plusMillis(999).toSeconds())));
    }
}
