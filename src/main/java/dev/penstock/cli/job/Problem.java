package dev.penstock.cli.job;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.JobFailure;
import dev.penstock.wire.document.ErrorDocument;
import org.jspecify.annotations.Nullable;

/** The reason why a command cannot finish: one line with the cause and the way out, and an exit code. */
public final class Problem extends Exception {
    private final Ending ending;
    private final transient @Nullable JsonNode error;

    private Problem(Ending ending, String message, @Nullable JsonNode error) {
        super(message.lines().findFirst().orElse(""));
        this.ending = ending;
        this.error = error;
    }

    public static Problem usage(String message) {
        return new Problem(Ending.USAGE, message, null);
    }

    public static Problem refused(String message) {
        return new Problem(Ending.REFUSED, message, null);
    }

    /** @param error the error object from the service */
    public static Problem refused(String message, JsonNode error) {
        return new Problem(Ending.REFUSED, message, error);
    }

    public static Problem brokenOff(String message) {
        return new Problem(Ending.BROKEN_OFF, message, null);
    }

    public Ending ending() {
        return ending;
    }

    /** Returns whether the service itself refused the request, with an error object. */
    public boolean cameFromService() {
        return error != null;
    }

    /** Returns the line with the cause and the way out; never null. */
    public String line() {
        return String.valueOf(getMessage());
    }

    /** Returns the error object from the service. If there is none, returns an object of the same form. */
    public JsonNode error() {
        return error != null
                ? error
                : ErrorDocument.of(JobFailure.of(JobFailure.Code.INVALID_REQUEST, line()))
                        .path("error");
    }
}
