package dev.penstock.cli;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.JobFailure;
import dev.penstock.wire.ErrorDocument;
import org.jspecify.annotations.Nullable;

/** The reason why a command cannot finish: one line with the way out, and the exit code. */
final class Problem extends Exception {
    private final Ending ending;
    private final transient @Nullable JsonNode error;

    private Problem(Ending ending, String message, @Nullable JsonNode error) {
        super(message.lines().findFirst().orElse(""));
        this.ending = ending;
        this.error = error;
    }

    static Problem usage(String message) {
        return new Problem(Ending.USAGE, message, null);
    }

    static Problem refused(String message) {
        return new Problem(Ending.REFUSED, message, null);
    }

    /** @param error the error object from the service */
    static Problem refused(String message, JsonNode error) {
        return new Problem(Ending.REFUSED, message, error);
    }

    static Problem brokenOff(String message) {
        return new Problem(Ending.BROKEN_OFF, message, null);
    }

    Ending ending() {
        return ending;
    }

    /** Returns whether the service refused this very request, with an error object. */
    boolean cameFromService() {
        return error != null;
    }

    /** Returns the one line; never null. */
    String line() {
        return String.valueOf(getMessage());
    }

    /** Returns the error object from the service, else one of the same form. */
    JsonNode error() {
        return error != null
                ? error
                : ErrorDocument.of(JobFailure.of(JobFailure.Code.INVALID_REQUEST, line()))
                        .path("error");
    }
}
