package dev.penstock.api.jobs;

import dev.penstock.api.call.ApiException;
import dev.penstock.dispatch.CancelCommands;
import dev.penstock.intake.SubmissionProducer;
import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.job.RecordPlace;
import dev.penstock.ledger.row.JobRow;
import dev.penstock.reply.Watch;
import dev.penstock.wire.Reason;
import jakarta.inject.Singleton;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.function.Function;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.jboss.logging.Logger;
import org.jspecify.annotations.Nullable;

/** Writes the jobs of callers, and the commands to cancel them. */
@Singleton
public final class Submitter {
    private static final Logger LOG = Logger.getLogger(Submitter.class);

    private final SubmissionProducer submissions;
    private final CancelCommands commands;
    private final JobLookup jobs;

    public Submitter(SubmissionProducer submissions, CancelCommands commands, JobLookup jobs) {
        this.submissions = submissions;
        this.commands = commands;
        this.jobs = jobs;
    }

    /** Returns the document if it may be written. Otherwise the call fails. */
    static SubmissionProducer.Checked.Fit fit(SubmissionProducer.Checked checked) {
        return switch (checked) {
            case SubmissionProducer.Checked.Unfit(JobFailure failure) -> throw new ApiException(failure);
            case SubmissionProducer.Checked.Fit fit -> fit;
        };
    }

    SubmissionProducer.Checked.Fit checked(byte[] document, @Nullable String key) {
        return fit(submissions.check(document, key));
    }

    /** Returns the id for a job that has none: see {@link SubmissionProducer#id}. */
    public JobId id(@Nullable String idempotencyKey) {
        return submissions.id(idempotencyKey);
    }

    /** Returns the document if it may be written. Otherwise the call fails. */
    public SubmissionProducer.Checked.Fit checked(byte[] document, JobId id, boolean mayComeAgain) {
        return fit(submissions.check(document, id, mayComeAgain));
    }

    /**
     * Returns the existing job; empty if the job is new or its state is not known. If a job with the same id has
     * another body, the call fails.
     */
    public Optional<JobRow> alreadyThere(SubmissionProducer.Checked.Fit fit) throws InterruptedException {
        JobRow there = jobs.alreadyThere(List.of(fit)).get(fit.job().id());
        if (there == null) {
            return Optional.empty();
        }
        JobLookup.conflict(there, fit).ifPresent(conflict -> {
            throw new ApiException(conflict);
        });
        return Optional.of(jobs.find(fit.job().id()));
    }

    /** Writes a job. Returns when the broker has it. */
    public RecordMetadata write(SubmissionProducer.Checked.Fit fit, @Nullable String traceparent)
            throws InterruptedException {
        try {
            return submissions.write(fit, traceparent).get();
        } catch (ExecutionException e) {
            throw new ApiException(submissions.refused(e, fit), fit.job().id());
        }
    }

    /**
     * A job that was written, and a watch that has all its events.
     *
     * @param record the place and the time of the job's record
     */
    public record Written(Watch watch, RecordMetadata record) {}

    /** Writes a job, and watches it. */
    public Written writeAndWatch(SubmissionProducer.Checked.Fit fit, @Nullable String traceparent)
            throws InterruptedException {
        refuseWhileAway();
        Watch watch = jobs.watchSubmitted(fit);
        boolean written = false;
        try {
            watch.expectOwnRecord();
            RecordMetadata record = write(fit, traceparent);
            watch.ownRecord(new RecordPlace(record.topic(), record.partition(), record.offset()));
            written = true;
            return new Written(watch, record);
        } finally {
            if (!written) {
                watch.close();
            }
        }
    }

    /** Writes the command to cancel a job. Returns when the broker has it. */
    public void cancel(JobId job) throws InterruptedException {
        send(job, commands::cancel, "cancelled");
    }

    /** Deletes the answer of a job that has ended. When this method returns, no replica finds the job any more. */
    public void forget(JobId job) throws InterruptedException {
        send(job, commands::forget, "deleted");
        jobs.awaitCommands();
    }

    private void send(JobId job, Function<JobId, CompletableFuture<?>> command, String done)
            throws InterruptedException {
        refuseWhileAway();
        try {
            command.apply(job).get();
        } catch (ExecutionException e) {
            LOG.warnf("job=%s Kafka did not take the command after which it is %s: %s", job, done, Reason.of(e));
            throw new ApiException(JobFailure.of(
                    JobFailure.Code.BROKER_UNAVAILABLE,
                    "Kafka did not confirm in time: the job may be %s all the same; send it again".formatted(done)));
        }
    }

    /** Refuses the call while the broker cannot be reached, instead of a wait that cannot succeed. */
    private void refuseWhileAway() {
        submissions.away().ifPresent(failure -> {
            throw new ApiException(failure);
        });
    }
}
