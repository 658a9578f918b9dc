package dev.penstock.ledger.janitor;

import dev.penstock.job.EventMark;
import dev.penstock.job.ExpiringSet;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobId;
import dev.penstock.ledger.projector.Projector;
import dev.penstock.ledger.row.JobRow;
import dev.penstock.ledger.row.Submission;
import dev.penstock.reply.ReplyTopic;
import dev.penstock.reply.WebhookTopic;
import dev.penstock.wire.Reason;
import dev.penstock.wire.document.EventDocument;
import io.micrometer.core.instrument.MeterRegistry;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.common.TopicPartition;
import org.jboss.logging.Logger;
import org.jboss.logging.MDC;
import org.jspecify.annotations.Nullable;

/**
 * Ends a job that no replica runs. It publishes one more outcome on the reply topic, and the reading rule applies to
 * this outcome as to any other. An earlier outcome of a run, or a later attempt, makes it void.
 */
public final class OutcomePublisher {
    private static final Logger LOG = Logger.getLogger(OutcomePublisher.class);
    /**
     * For this time after its outcome was published, a job is not ended again, because the ledger may not have read the
     * outcome yet.
     */
    private static final Duration PATIENCE = Duration.ofSeconds(30);

    private final ReplyTopic replies;
    private final WebhookTopic webhooks;
    private final Projector projector;
    private final Clock clock;
    private final MeterRegistry meters;
    private final ExpiringSet<JobId> published = new ExpiringSet<>();

    public OutcomePublisher(
            ReplyTopic replies, WebhookTopic webhooks, Projector projector, Clock clock, MeterRegistry meters) {
        this.replies = replies;
        this.webhooks = webhooks;
        this.projector = projector;
        this.clock = clock;
        this.meters = meters;
    }

    /**
     * Returns whether this replica projects the partition of the job's events, and has not just published an outcome
     * for the job.
     */
    boolean isOurs(JobRow row) {
        published.forget(clock.instant());
        return !published.contains(row.id()) && projector.owned().contains(partitionOf(row));
    }

    /** Returns the partition of the job's events. */
    TopicPartition partitionOf(JobRow row) {
        return new TopicPartition(replies.name(), replies.partitionOf(row.id()));
    }

    /**
     * Publishes an outcome that no attempt produced, and waits until the broker has it. Logs a failure.
     *
     * @param traceparent the header of the job's record; null if the record is not available
     */
    void publish(JobRow row, Submission record, JobEvent outcome, byte @Nullable [] traceparent)
            throws InterruptedException {
        MDC.put("job", row.id().value());
        MDC.put("tenant", record.tenant());
        try {
            send(row, record, outcome, traceparent);
        } finally {
            MDC.remove("job");
            MDC.remove("tenant");
        }
    }

    private void send(JobRow row, Submission record, JobEvent outcome, byte @Nullable [] traceparent)
            throws InterruptedException {
        EventMark mark =
                new EventMark(outcome.kind(), row.timeline().reading().nextOutcomeAttempt(), EventMark.newRun(), 0);
        try {
            byte[] value = EventDocument.write(row.id(), mark, outcome);
            webhooks.of(
                            row.id(),
                            record.webhook(),
                            Instant.ofEpochMilli(record.stamp().millis()),
                            traceparent)
                    .before(mark, value)
                    .get();
            replies.send(row.id(), mark, value, traceparent).get();
        } catch (ExecutionException e) {
            LOG.warnf("job=%s its outcome could not be published, trying again: %s", row.id(), Reason.of(e));
            return;
        }
        published.add(row.id(), clock.instant().plus(PATIENCE));
        LOG.infof(
                "job=%s record=%s outcome=%s: no worker ended it",
                row.id(), record.stamp().place(), outcome.kind().wireName());
        if (outcome.kind() == EventMark.Kind.EXPIRED) {
            meters.counter("penstock.deadline.missed").increment();
        }
        meters.counter(
                        "penstock.jobs",
                        "outcome",
                        outcome.kind().wireName(),
                        "task",
                        record.task().wireName(),
                        "backend",
                        "none",
                        "pool",
                        "none")
                .increment();
        meters.counter(
                        "penstock.tenant.jobs",
                        "tenant",
                        record.tenant(),
                        "outcome",
                        outcome.kind().wireName())
                .increment();
    }
}
