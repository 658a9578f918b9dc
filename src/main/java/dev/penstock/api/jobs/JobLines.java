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
 * Submits the jobs of one call, which has one job on each line. If the broker cannot be reached, a line waits until the
 * producer's timeout ends. After that, the call sends no other line.
 */
final class JobLines {
    private final Door door;
    private final Map<JobId, Earlier> earlier = new HashMap<>();
    private Map<JobId, JobRow> there = Map.of();
    /** Whether the broker was unreachable for a line. The producer's thread can set it. */
    private volatile boolean isAway;

    /** The operations of the service that a line needs. */
    interface Door {
        /** Writes a job to its topic. */
        Written write(SubmissionProducer.Checked.Fit fit) throws InterruptedException;

        /** Returns why the broker did not take a job. */
        JobFailure refused(Throwable failure, SubmissionProducer.Checked.Fit fit);

        /** Returns the job object, without the job's place in the queue. */
        ObjectNode show(JobRow row);

        /**
         * Returns the state of a job that existed before the call. If the caller waits, the method first waits for the
         * outcome.
         */
        JobRow known(JobRow row) throws InterruptedException;
    }

    /**
     * A job that was handed to the producer.
     *
     * @param record the coordinates of the job's record, when the broker has confirmed it
     * @param following waits for the job's outcome
     */
    record Written(CompletableFuture<RecordMetadata> record, Following following) {}

    /** Waits for a job's outcome, at most as long as the caller wants. */
    interface Following {
        JobRow await(JobRow row) throws InterruptedException;
    }

    /** The answer to one line. */
    interface Answer {
        ObjectNode await() throws InterruptedException;

        /** Waits only for the broker's confirmation. The result does not hold the job's document any more. */
        default Answer settled() throws InterruptedException {
            return this;
        }
    }

    /** A job on an earlier line of this call. */
    private record Earlier(long line, String bodyHash, Answer answer) {}

    JobLines(Door door) {
        this.door = door;
    }

    /** Sets, before the next lines are submitted, which of their jobs exist already. */
    void known(Map<JobId, JobRow> jobs) {
        there = jobs;
    }

    /** Returns the error for the first line above the limit. This line and all later lines are left out. */
    static ObjectNode tooMany(long number, int most) {
        return failed(
                number,
                JobFailure.of(
                        JobFailure.Code.TOO_LARGE,
                        "one call takes %d jobs (penstock.api.max-lines): this line and all after it were left out; send them in another call"
                                .formatted(most)));
    }

    /**
     * Writes the job unless it exists already. Does not wait for the broker's confirmation; the returned answer does.
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

    /**
     * A job whose record was handed to the producer. The job's document is held only until the broker has confirmed the
     * record.
     */
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

    /** Returns the error of a line. Each job is one line of JSON, so the message gives only the column of a mistake. */
    static ObjectNode failed(long number, JobFailure failure) {
        String message = "line %d: %s".formatted(number, failure.message().replace("(line 1, column ", "(column "));
        return ErrorDocument.of(new JobFailure(failure.code(), message, failure.param(), failure.node()))
                .put("line", number);
    }
}
