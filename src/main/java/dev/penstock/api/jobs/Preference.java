package dev.penstock.api.jobs;

import dev.penstock.api.call.ApiException;
import dev.penstock.job.JobFailure;
import jakarta.ws.rs.core.Response;
import java.time.Duration;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** Reads the header {@code Prefer: wait=N} (RFC 7240): how many seconds a caller wants to wait for an outcome. */
final class Preference {
    private static final Pattern WAIT =
            Pattern.compile("(?:^|[,;])\\s*wait\\s*=\\s*\"?([^\",;\\s]*)", Pattern.CASE_INSENSITIVE);
    private static final Pattern SECONDS = Pattern.compile("\\d{1,6}");
    private static final int MOST = 60;

    private Preference() {}

    /** Returns the wait that the header asks for, 60 s at most; zero if it asks for none. */
    static Duration wait(@Nullable String prefer) {
        Matcher matcher = WAIT.matcher(prefer == null ? "" : prefer);
        if (!matcher.find()) {
            return Duration.ZERO;
        }
        if (!SECONDS.matcher(matcher.group(1)).matches()) {
            throw new ApiException(
                    JobFailure.invalid("Prefer", "expected wait=N, N in seconds, %d at most".formatted(MOST)));
        }
        return Duration.ofSeconds(Math.min(MOST, Integer.parseInt(matcher.group(1))));
    }

    /** Adds the header with the wait that was granted. */
    static Response.ResponseBuilder applied(Response.ResponseBuilder answer, Duration wait) {
        return wait.isZero() ? answer : answer.header("Preference-Applied", "wait=" + wait.toSeconds());
    }
}
