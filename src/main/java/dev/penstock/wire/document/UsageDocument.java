package dev.penstock.wire.document;

import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.PromptJob;
import dev.penstock.job.Usage;
import java.time.Instant;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** The value of a usage record: what a direct call used. It has counts, and no text. */
public final class UsageDocument {
    private UsageDocument() {}

    /**
     * @param outcome how the call ended
     * @param at when the call ended
     */
    public static byte[] write(PromptJob job, JobEvent outcome, Instant at) {
        JobEvent.Execution execution = execution(outcome);
        Usage usage = usage(outcome);
        return EventDocument.document(json -> {
            json.writeStringField("id", job.id().value());
            json.writeStringField("at", at.toString());
            json.writeStringField("tenant", job.tenant());
            json.writeStringField("task", job.task().wireName());
            json.writeStringField("priority", job.priority().wireName());
            json.writeBooleanField("stream", job.stream());
            json.writeStringField("outcome", outcome.kind().wireName());
            Optional<JobFailure> failure = failure(outcome);
            if (failure.isPresent()) {
                json.writeStringField("code", failure.get().code().wireName());
            }
            EventDocument.writeExecution(json, execution);
            if (usage != null) {
                EventDocument.writeUsage(json, "usage", usage);
            }
        });
    }

    private static JobEvent.@Nullable Execution execution(JobEvent outcome) {
        return switch (outcome) {
            case JobEvent.Completed completed -> completed.execution();
            case JobEvent.Failed failed -> failed.execution();
            case JobEvent.Cancelled cancelled -> cancelled.execution();
            case JobEvent.Expired expired -> expired.execution();
            case JobEvent.Started _, JobEvent.Chunk _, JobEvent.Rejected _ -> null;
        };
    }

    /** Returns the usage of the whole answer; for an incomplete answer, null. */
    private static @Nullable Usage usage(JobEvent outcome) {
        return outcome instanceof JobEvent.Completed completed
                ? completed.answer().usage()
                : null;
    }

    private static Optional<JobFailure> failure(JobEvent outcome) {
        return switch (outcome) {
            case JobEvent.Failed failed -> Optional.of(failed.failure());
            case JobEvent.Expired expired -> Optional.ofNullable(expired.early());
            case JobEvent.Completed _,
                    JobEvent.Cancelled _,
                    JobEvent.Started _,
                    JobEvent.Chunk _,
                    JobEvent.Rejected _ -> Optional.empty();
        };
    }
}
