package dev.penstock.ledger.janitor;

import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.ledger.database.LedgerDatabase;
import dev.penstock.ledger.database.Queries;
import dev.penstock.ledger.row.JobRow;
import dev.penstock.ledger.row.Submission;
import java.time.Clock;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Ends jobs that no replica ends. It ends a cancelled or expired job at once if the job is queued or deferred. It ends
 * a running job if the job's replica has not ended it within the grace period.
 */
final class Janitor {
    /** The grace period: the time that a replica has to end its own job. */
    private static final Duration GRACE = Duration.ofSeconds(30);

    private static final int AT_ONCE = 1_000;

    private final LedgerDatabase database;
    private final OutcomePublisher outcomes;
    private final Clock clock;

    Janitor(LedgerDatabase database, OutcomePublisher outcomes, Clock clock) {
        this.database = database;
        this.outcomes = outcomes;
        this.clock = clock;
    }

    void round() throws InterruptedException, LedgerDatabase.Unavailable {
        long now = clock.millis();
        Map<JobId, JobRow> rows = new LinkedHashMap<>();
        for (LedgerDatabase.Work<List<JobRow>> query : List.<LedgerDatabase.Work<List<JobRow>>>of(
                connection -> Queries.cancelled(connection, AT_ONCE),
                connection -> Queries.expired(connection, now, AT_ONCE),
                connection -> Queries.overdue(connection, now, AT_ONCE))) {
            for (JobRow row : ours(query)) {
                rows.putIfAbsent(row.id(), row);
            }
        }
        for (JobRow row : rows.values()) {
            Submission record = row.submissions().chosen().orElse(null);
            JobEvent outcome = record == null ? null : outcome(row, record, now);
            if (record != null && outcome != null) {
                outcomes.publish(row, record, outcome, null);
            }
        }
    }

    /** Returns the outcome of a job that no replica has ended; null if the job does not end yet. */
    static @Nullable JobEvent outcome(JobRow row, Submission record, long now) {
        boolean started = row.timeline().reading().attempt() >= 0;
        boolean deferred =
                started && row.submissions().isDeferredAfter(row.timeline().attempts());
        long grace = started && !deferred ? GRACE.toMillis() : 0;
        Long cancelled = row.cancelMillis();
        Long deadline = record.deadlineMillis();
        Long overdue = row.overdueMillis();
        if (cancelled != null && now - cancelled >= grace) {
            return new JobEvent.Cancelled(null, record.metadata());
        }
        boolean runningTimeEndsFirst = overdue != null && (deadline == null || overdue < deadline);
        if (deadline != null && now - deadline >= grace && !runningTimeEndsFirst) {
            return new JobEvent.Expired(null, record.metadata());
        }
        if (overdue == null || now - overdue < grace) {
            return null;
        }
        String why = deferred
                ? "it waits for a node after attempt %d"
                        .formatted(row.timeline().attempts())
                : "no worker ended it within %d s".formatted(GRACE.toSeconds());
        JobFailure failure = JobFailure.of(
                JobFailure.Code.TIMEOUT,
                "the job ran longer than its timeout, %s: %s"
                        .formatted(Duration.ofMillis(record.timeoutMillis()), why));
        return new JobEvent.Failed(failure, null, record.metadata());
    }

    private List<JobRow> ours(LedgerDatabase.Work<List<JobRow>> query)
            throws LedgerDatabase.Unavailable, InterruptedException {
        return database.read(query).stream().filter(outcomes::isOurs).toList();
    }
}
