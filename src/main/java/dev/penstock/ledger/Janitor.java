package dev.penstock.ledger;

import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import java.time.Clock;
import java.time.Duration;
import java.util.List;

/**
 * Ends jobs that no worker gets to: queued ones at once, when they are cancelled or past their deadline, and running ones
 * whose worker has not done so itself for a while.
 */
final class Janitor {
    /** For a worker to say it itself. */
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
        for (JobRow row : ours(connection -> Queries.cancelled(connection, AT_ONCE))) {
            Submission record = row.arrivals().chosen().orElse(null);
            Long since = row.cancelMillis();
            if (record != null && since != null && (isQueued(row) || now - since > GRACE.toMillis())) {
                outcomes.tell(row, record, new JobEvent.Cancelled(null, record.metadata()), null);
            }
        }
        for (JobRow row : ours(connection -> Queries.expired(connection, now, AT_ONCE))) {
            Submission record = row.arrivals().chosen().orElse(null);
            Long deadline = record == null ? null : record.deadlineMillis();
            if (record != null && deadline != null && (isQueued(row) || now - deadline > GRACE.toMillis())) {
                outcomes.tell(row, record, new JobEvent.Expired(null, record.metadata()), null);
            }
        }
        for (JobRow row : ours(connection -> Queries.overdue(connection, now - GRACE.toMillis(), AT_ONCE))) {
            Submission record = row.arrivals().chosen().orElse(null);
            if (record != null) {
                JobFailure failure = JobFailure.of(
                        JobFailure.Code.TIMEOUT,
                        "the job ran longer than its timeout, %s, and its worker has not said so: it is gone"
                                .formatted(Duration.ofMillis(record.timeoutMillis())));
                outcomes.tell(row, record, new JobEvent.Failed(failure, null, record.metadata()), null);
            }
        }
    }

    private static boolean isQueued(JobRow row) {
        return row.life().reading().attempt() < 0;
    }

    private List<JobRow> ours(LedgerDatabase.Work<List<JobRow>> query)
            throws LedgerDatabase.Unavailable, InterruptedException {
        return database.read(query).stream().filter(outcomes::isOurs).toList();
    }
}
