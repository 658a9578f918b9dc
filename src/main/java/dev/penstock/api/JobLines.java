package dev.penstock.api;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.intake.Submissions;
import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.ledger.JobRow;
import dev.penstock.settings.KafkaSettings;
import dev.penstock.wire.ErrorDocument;
import dev.penstock.wire.JobObject;
import java.time.Instant;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.function.Function;
import java.util.function.Supplier;
import org.apache.kafka.clients.producer.RecordMetadata;

/**
 * Jobs that come in one call, one a line. A broker that is away holds up a line for as long as the producer blocks: once that
 * has happened no other line of the call is tried.
 */
final class JobLines {
    private final Map<JobId, JobRow> there;
    private final Function<Submissions.Checked.Fit, CompletableFuture<RecordMetadata>> writing;
    /** Also the producer's thread finds it out. */
    private volatile boolean isAway;

    /**
     * @param there the jobs that are there already
     * @param writing puts a job on its topic
     */
    JobLines(Map<JobId, JobRow> there, Function<Submissions.Checked.Fit, CompletableFuture<RecordMetadata>> writing) {
        this.there = there;
        this.writing = writing;
    }

    /** Writes it, where it is to be written, without waiting for the broker's word; the answer waits for that. */
    Supplier<ObjectNode> submit(Submissions.Checked checked) {
        return switch (checked) {
            case Submissions.Checked.Unfit(JobFailure failure) -> () -> ErrorDocument.of(failure);
            case Submissions.Checked.Fit fit -> submit(fit);
        };
    }

    private Supplier<ObjectNode> submit(Submissions.Checked.Fit fit) {
        JobId id = fit.job().id();
        JobRow known = there.get(id);
        Optional<JobFailure> conflict = known == null ? Optional.empty() : JobLookup.conflict(known, fit);
        if (conflict.isPresent()) {
            return () -> failed(id, conflict.get());
        }
        if (known != null) {
            ObjectNode object = JobLookup.shortly(known);
            return () -> object;
        }
        if (isAway) {
            return () -> failed(
                    id,
                    JobFailure.of(
                            JobFailure.Code.BROKER_UNAVAILABLE,
                            "the broker could not be reached for an earlier line, and this one was not sent: send it again"));
        }
        CompletableFuture<ObjectNode> answer = writing.apply(fit).handle((record, failure) -> {
            if (failure == null) {
                return JobObject.queued(fit.job(), Instant.ofEpochMilli(record.timestamp()));
            }
            if (KafkaSettings.isTimeout(failure)) {
                isAway = true;
            }
            return failed(id, JobsResource.unavailable(failure));
        });
        return answer::join;
    }

    private static ObjectNode failed(JobId id, JobFailure failure) {
        return ErrorDocument.of(failure).put("id", id.value());
    }
}
