package dev.penstock.cli.job;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.job.JobId;
import dev.penstock.wire.Json;
import java.nio.charset.StandardCharsets;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.kafka.common.utils.Bytes;

/**
 * A job that is ready to be sent. It already has an id, so sending it twice creates only one job.
 *
 * @param document the job's document, with {@code job.id}
 */
public record Draft(JobId id, Bytes document) {
    private static final Pattern RETRY = Pattern.compile("(.+)\\.retry-(\\d{1,6})");

    public static Draft of(JobId id, ObjectNode document) {
        document.withObject("/job").put("id", id.value());
        return new Draft(id, Bytes.wrap(Json.bytes(document)));
    }

    /**
     * Returns the same job under another id, as a retry of a job that has ended. The new id is a pure function of the
     * ended job's id. So a restarted run submits the retry under the same id.
     *
     * @param ended the id of the job that has ended
     */
    public Draft retryOf(JobId ended) {
        if (!(Json.parseLenient(new String(document.get(), StandardCharsets.UTF_8)) instanceof ObjectNode again)) {
            throw new IllegalStateException("a draft is a JSON object");
        }
        again.withObject("/job").put("retry_of", ended.value());
        Matcher earlier = RETRY.matcher(ended.value());
        boolean first = !earlier.matches();
        String origin = first ? ended.value() : earlier.group(1);
        String next = origin + ".retry-" + (first ? 1 : Integer.parseInt(earlier.group(2)) + 1);
        JobId id = JobId.isValid(next) ? new JobId(next) : JobId.fromIdempotencyKey("retry", ended.value());
        return of(id, again);
    }

    /** Returns whether this is the id of the draft or of one of its retries. */
    public boolean isIdOfRetry(String other) {
        Matcher earlier = RETRY.matcher(other);
        return other.equals(id.value())
                || (earlier.matches() && earlier.group(1).equals(id.value()));
    }
}
