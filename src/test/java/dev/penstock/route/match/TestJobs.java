package dev.penstock.route.match;

import dev.penstock.job.JobId;
import dev.penstock.job.Priority;
import dev.penstock.job.PromptJob;
import dev.penstock.wire.document.JobDocument;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;

/** Jobs as the intake reads them. */
public final class TestJobs {
    private TestJobs() {}

    /** @param document the job; single quotes stand for double quotes */
    public static PromptJob of(String document) {
        JobDocument.Defaults defaults = new JobDocument.Defaults(
                Priority.NORMAL, JobDocument.TENANT_FROM_RECORD, Duration.ofMinutes(10), Duration.ofHours(1));
        JobDocument.Arrival arrival = new JobDocument.Arrival(null, new JobId("job-1"), Instant.EPOCH);
        byte[] value = document.replace('\'', '"').getBytes(StandardCharsets.UTF_8);
        return switch (JobDocument.parse(value, arrival, defaults)) {
            case JobDocument.Parsed.Valid(PromptJob job) -> job;
            case JobDocument.Parsed.Refused refused -> throw new AssertionError(refused.failure());
        };
    }

    /** Returns a chat with one message. */
    public static PromptJob chat(String prompt) {
        String text = prompt.replace("\\", "\\\\")
                .replace("\n", "\\n")
                .replace("\"", "\\\"")
                .replace("'", "\\u0027");
        return of("{'messages':[{'role':'user','content':'" + text + "'}]}");
    }
}
