package dev.penstock.api;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.intake.Submissions;
import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.ledger.JobRow;
import dev.penstock.settings.KafkaSettings;
import dev.penstock.wire.BodyHash;
import dev.penstock.wire.ErrorDocument;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.utils.Bytes;

/**
 * Jobs that come in one call, one a line. A broker that is away holds up a line for as long as the producer blocks: once that
 * has happened no other line of the call is tried.
 */
final class JobLines {
    private final Map<JobId, JobRow> there;
    private final Door door;
    private final Map<JobId, Earlier> earlier = new HashMap<>();
    /** Also the producer's thread finds it out. */
    private volatile boolean isAway;

    /** What a line needs of the rest of the service. */
    interface Door {
        /** Puts a job on its topic. */
        Written write(Submissions.Checked.Fit fit) throws InterruptedException;

        /** Why that failed. */
        JobFailure refused(Throwable failure, Submissions.Checked.Fit fit);

        /** A job as it is shown, without its answer. */
        ObjectNode show(JobRow row);

        /** What is known of a job that was there before, once its outcome has been waited for. */
        JobRow known(JobRow row) throws InterruptedException;
    }

    /**
     * A job on its way to the broker.
     *
     * @param following waits for its outcome
     */
    record Written(CompletableFuture<RecordMetadata> record, Following following) {}

    /** Waits for a job's outcome, for as long as the caller would. */
    interface Following {
        JobRow await(JobRow row) throws InterruptedException;
    }

    /** What a line is answered with, once it is known. */
    interface Answer {
        ObjectNode await() throws InterruptedException;
    }

    /** A job of an earlier line of this call. */
    private record Earlier(long line, String bodyHash, Answer answer) {}

    /**
     * A line that is not blank.
     *
     * @param number counted from 1, blank lines too
     */
    record Line(long number, Bytes document) {}

    /** @param there the jobs that are there already */
    JobLines(Map<JobId, JobRow> there, Door door) {
        this.there = there;
        this.door = door;
    }

    static List<Line> of(byte[] body) {
        List<Line> lines = new ArrayList<>();
        long number = 0;
        for (String line : new String(body, StandardCharsets.ISO_8859_1).lines().toList()) {
            number++;
            if (!line.isBlank()) {
                lines.add(new Line(number, Bytes.wrap(line.getBytes(StandardCharsets.ISO_8859_1))));
            }
        }
        return lines;
    }

    /** Writes it, where it is to be written, without waiting for the broker's word; the answer waits for that. */
    Answer submit(long number, Submissions.Checked checked) throws InterruptedException {
        return switch (checked) {
            case Submissions.Checked.Unfit(JobFailure failure) -> {
                ObjectNode refused = failed(number, failure);
                yield () -> refused;
            }
            case Submissions.Checked.Fit fit -> submit(number, fit);
        };
    }

    private Answer submit(long number, Submissions.Checked.Fit fit) throws InterruptedException {
        JobId id = fit.job().id();
        JobRow known = there.get(id);
        Optional<JobFailure> conflict = known == null ? Optional.empty() : JobLookup.conflict(known, fit);
        if (conflict.isPresent()) {
            return () -> failed(number, id, conflict.get());
        }
        if (known != null) {
            return () -> {
                try {
                    return door.show(door.known(known));
                } catch (ApiException e) {
                    return failed(number, id, e.failure());
                }
            };
        }
        String hash = BodyHash.of(fit.document().get());
        Earlier same = earlier.get(id);
        if (same != null && !same.bodyHash().equals(hash)) {
            JobFailure twice = JobFailure.of(
                    JobFailure.Code.ID_CONFLICT,
                    "job '%s' is on line %d with another body: another job needs another id"
                            .formatted(id, same.line()));
            return () -> failed(number, id, twice);
        }
        if (same != null) {
            return same.answer();
        }
        Answer answer = write(number, fit);
        earlier.put(id, new Earlier(number, hash, answer));
        return answer;
    }

    private Answer write(long number, Submissions.Checked.Fit fit) throws InterruptedException {
        JobId id = fit.job().id();
        if (isAway) {
            return () -> failed(
                    number,
                    id,
                    JobFailure.of(
                            JobFailure.Code.BROKER_UNAVAILABLE,
                            "Kafka could not be reached for an earlier line, and this one was not sent: send it again"));
        }
        Written written;
        try {
            written = door.write(fit);
        } catch (ApiException e) {
            return () -> failed(number, id, e.failure());
        }
        CompletableFuture<RecordMetadata> record = written.record().whenComplete((_, failure) -> {
            if (failure != null && KafkaSettings.isTimeout(failure)) {
                isAway = true;
            }
        });
        return () -> {
            try {
                Instant acceptedAt = Instant.ofEpochMilli(record.join().timestamp());
                return door.show(written.following().await(JobLookup.accepted(fit, acceptedAt)));
            } catch (CompletionException e) {
                return failed(number, id, door.refused(e, fit));
            } catch (ApiException e) {
                return failed(number, id, e.failure());
            }
        };
    }

    private static ObjectNode failed(long number, JobId id, JobFailure failure) {
        return failed(number, failure).put("id", id.value());
    }

    /** A line is one line of JSON: where in it something is wrong, its column says. */
    private static ObjectNode failed(long number, JobFailure failure) {
        String message = "line %d: %s".formatted(number, failure.message().replace("(line 1, column ", "(column "));
        return ErrorDocument.of(new JobFailure(failure.code(), message, failure.param(), failure.node()))
                .put("line", number);
    }
}
