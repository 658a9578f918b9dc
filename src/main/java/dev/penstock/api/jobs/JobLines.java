package dev.penstock.api.jobs;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.api.call.ApiException;
import dev.penstock.intake.SubmissionProducer;
import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.kafka.KafkaClients;
import dev.penstock.ledger.row.JobRow;
import dev.penstock.wire.document.BodyHash;
import dev.penstock.wire.document.ErrorDocument;
import java.time.Instant;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.jspecify.annotations.Nullable;

/**
 * Jobs that come in one call, one a line. A line that meets an absent broker waits for as long as the producer blocks.
 * After that, no other line of the call is tried.
 */
final class JobLines {
    private final Door door;
    private final Map<JobId, Earlier> earlier = new HashMap<>();
    private Map<JobId, JobRow> there = Map.of();
    /** The producer's thread finds it out too. */
    private volatile boolean isAway;

    /** The parts of the service that a line needs. */
    interface Door {
        /** Writes a job to its topic. */
        Written write(SubmissionProducer.Checked.Fit fit) throws InterruptedException;

        /** The reason why that failed. */
        JobFailure refused(Throwable failure, SubmissionProducer.Checked.Fit fit);

        /** A job as it is shown, without its answer. */
        ObjectNode show(JobRow row);

        /** The state of a job that was there before, once its outcome has been waited for. */
        JobRow known(JobRow row) throws InterruptedException;
    }

    /**
     * A job on its way to the broker.
     *
     * @param following waits for its outcome
     */
    record Written(CompletableFuture<RecordMetadata> record, Following following) {}

    /** Waits for a job's outcome, for as long as the caller wants. */
    interface Following {
        JobRow await(JobRow row) throws InterruptedException;
    }

    /** The answer to a line, once it is known. */
    interface Answer {
        ObjectNode await() throws InterruptedException;

        /** Waits for the broker's confirmation alone; the result holds no document any more. */
        default Answer settled() throws InterruptedException {
            return this;
        }
    }

    /** A job of an earlier line of this call. */
    private record Earlier(long line, String bodyHash, Answer answer) {}

    JobLines(Door door) {
        this.door = door;
    }

    /** Before the next lines: those of their jobs that are there already. */
    void known(Map<JobId, JobRow> jobs) {
        there = jobs;
    }

    /** One line too many: it and all after it are left out. */
    static ObjectNode tooMany(long number, int most) {
        return failed(
                number,
                JobFailure.of(
                        JobFailure.Code.TOO_LARGE,
                        "one call takes %d jobs (penstock.api.max-lines): this line and all after it were left out; send them in another call"
                                .formatted(most)));
    }

    /**
     * Writes the job, where it has to be written, without waiting for the broker's confirmation; the answer waits for
     * that.
     */
    Answer submit(long number, SubmissionProducer.Checked checked) throws InterruptedException {
        return switch (checked) {
            case SubmissionProducer.Checked.Unfit(JobFailure failure) -> {
                ObjectNode refused = failed(number, failure);
                yield () -> refused;
            }
            case SubmissionProducer.Checked.Fit fit -> submit(number, fit);
        };
    }

    private Answer submit(long number, SubmissionProducer.Checked.Fit fit) throws InterruptedException {
        JobId id = fit.job().id();
        Earlier same = earlier.get(id);
        String hash = BodyHash.of(fit.document().get());
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
        Answer answer = write(number, fit);
        earlier.put(id, new Earlier(number, hash, answer));
        return answer;
    }

    private Answer write(long number, SubmissionProducer.Checked.Fit fit) throws InterruptedException {
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
            if (failure != null && KafkaClients.isTimeout(failure)) {
                isAway = true;
            }
        });
        return new Sent(number, new Written(record, written.following()), fit);
    }

    /** A job that the broker has, or will have. Its document is held only until then. */
    private final class Sent implements Answer {
        private final long number;
        private final JobId id;
        private @Nullable Answer settled;
        private @Nullable Written written;
        private SubmissionProducer.Checked.@Nullable Fit fit;

        Sent(long number, Written written, SubmissionProducer.Checked.Fit fit) {
            this.number = number;
            this.written = written;
            this.fit = fit;
            id = fit.job().id();
        }

        @Override
        public Answer settled() {
            if (settled == null) {
                settled = after(Objects.requireNonNull(written), Objects.requireNonNull(fit));
                written = null;
                fit = null;
            }
            return settled;
        }

        private Answer after(Written sent, SubmissionProducer.Checked.Fit job) {
            try {
                JobRow row = JobLookup.accepted(
                        job, Instant.ofEpochMilli(sent.record().join().timestamp()));
                Following following = sent.following();
                return () -> {
                    try {
                        return door.show(following.await(row));
                    } catch (ApiException e) {
                        return failed(number, id, e.failure());
                    }
                };
            } catch (CompletionException e) {
                JobFailure refused = door.refused(e, job);
                return () -> failed(number, id, refused);
            } catch (ApiException e) {
                JobFailure refused = e.failure();
                return () -> failed(number, id, refused);
            }
        }

        @Override
        public ObjectNode await() throws InterruptedException {
            return settled().await();
        }
    }

    private static ObjectNode failed(long number, JobId id, JobFailure failure) {
        return failed(number, failure).put("id", id.value());
    }

    /** A line is one line of JSON: the column says where the mistake is. */
    static ObjectNode failed(long number, JobFailure failure) {
        String message = "line %d: %s".formatted(number, failure.message().replace("(line 1, column ", "(column "));
        return ErrorDocument.of(new JobFailure(failure.code(), message, failure.param(), failure.node()))
                .put("line", number);
    }
}
