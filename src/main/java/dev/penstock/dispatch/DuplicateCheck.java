package dev.penstock.dispatch;

import dev.penstock.execution.ContinuePlan;
import dev.penstock.execution.StopSignal;
import dev.penstock.job.EventMark;
import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.job.Reading;
import dev.penstock.job.RecordPlace;
import dev.penstock.job.RecordStamp;
import dev.penstock.job.RunStarts;
import dev.penstock.ledger.Ledger;
import dev.penstock.ledger.database.LedgerDatabase;
import dev.penstock.ledger.row.JobRow;
import dev.penstock.ledger.row.Submission;
import dev.penstock.reply.JobReplies;
import dev.penstock.reply.Recovery;
import dev.penstock.settings.Rule;
import java.time.Duration;
import java.time.Instant;
import java.util.Optional;
import org.jboss.logging.Logger;
import org.jspecify.annotations.Nullable;

/**
 * Checks, before a job runs, whether an earlier run of its record crashed and whether another record has the same id.
 * Owned by the thread of the run.
 */
final class DuplicateCheck {
    private static final Logger LOG = Logger.getLogger(DuplicateCheck.class);
    private static final Duration LOOK_AGAIN = Duration.ofSeconds(1);

    private final TakenJob taken;
    private final Delivery delivery;
    private final JobReplies replies;
    private final StopSignal signal;
    private final Rule.Handling handling;
    private final RunContext context;

    /** @param handling the part of the job's routing rule that tells whether its text may be continued */
    DuplicateCheck(
            TakenJob taken,
            Delivery delivery,
            JobReplies replies,
            StopSignal signal,
            Rule.Handling handling,
            RunContext context) {
        this.taken = taken;
        this.handling = handling;
        this.delivery = delivery;
        this.replies = replies;
        this.signal = signal;
        this.context = context;
    }

    /** The next step for the record. */
    sealed interface Advice {
        /**
         * Run the job.
         *
         * @param known the state that earlier runs left; null if this is the first run
         */
        record Run(Recovery.@Nullable Known known) implements Advice {}

        /** Acknowledge the record: the job has its outcome, or a later deferred record. */
        record Over() implements Advice {}

        /** Defer the record and check it again later: it is a duplicate of a job that has no outcome yet. */
        record Defer() implements Advice {}

        /** Refuse the record: it is another job with the id of a known job. */
        record Refuse(JobFailure failure) implements Advice {}

        /** Publish nothing: the run was stopped. */
        record Stop() implements Advice {}
    }

    /** @param row the job's row in the ledger; null if the ledger has no row or is unavailable */
    private record Lookup(Recovery.Known known, @Nullable JobRow row) {}

    /**
     * Returns the next step for the record. A duplicate does not run, and it is acknowledged only when the job has an
     * outcome. Until then it is deferred. After each deferral it is checked like a redelivered record.
     */
    Advice advise() throws InterruptedException {
        if (!delivery.mayHaveRun() && !mayBeAnothers()) {
            return new Advice.Run(null);
        }
        Lookup look = look();
        if (look == null) {
            return new Advice.Stop();
        }
        JobRow row = look.row();
        boolean closed = look.known().reading().isClosed();
        if (row != null && isSuperseded(row)) {
            return new Advice.Over();
        }
        if (row == null && closed && !delivery.mayHaveRun()) {
            // the first check found a duplicate, but the ledger is behind: defer the record, and replay the outcome
            // when the ledger has caught up
            return new Advice.Defer();
        }
        boolean duplicate = row == null ? context.smallerInFlight().test(taken) && !closed : isDuplicate(row);
        if (!duplicate) {
            return closed ? new Advice.Over() : new Advice.Run(look.known());
        }
        if (row != null && isAnothers(row)) {
            count();
            Optional<JobFailure> conflict = conflict(row);
            if (conflict.isPresent()) {
                return new Advice.Refuse(conflict.get());
            }
            if (closed) {
                return replay(row) ? new Advice.Over() : new Advice.Stop();
            }
        } else if (closed) {
            return new Advice.Over();
        }
        return signal.reason() == StopSignal.Reason.CANCELLED ? new Advice.Run(look.known()) : new Advice.Defer();
    }

    /**
     * Returns whether another record may own the job. The check is fast, because it does not wait for the ledger. So
     * two records may both run if they arrive within the ledger's lag.
     */
    private boolean mayBeAnothers() throws InterruptedException {
        if (!taken.namesItself()) {
            return false;
        }
        return context.smallerInFlight().test(taken)
                || context.ledger()
                        .glance(taken.job().id())
                        .filter(row -> row.timeline().reading().attempt() >= 0
                                || row.timeline().reading().isClosed()
                                || isDuplicate(row))
                        .isPresent();
    }

    /**
     * Returns whether a later deferred record has replaced this one. This happens if a replica wrote the later record
     * and crashed before it acknowledged this one.
     */
    private boolean isSuperseded(JobRow row) {
        RecordPlace deferred = taken.deferred();
        return deferred != null && row.submissions().isDeferredAgain(deferred, taken.place());
    }

    private boolean isDuplicate(JobRow row) {
        return taken.stamp()
                .isDuplicate(
                        row.submissions().stamps(),
                        row.timeline().startedRecord(),
                        row.timeline().reading().isClosed());
    }

    /**
     * Returns whether the job belongs to another record. It belongs to the record whose run started. If no run has
     * started, it belongs to the first record in the order of {@link RecordStamp}.
     */
    private boolean isAnothers(JobRow row) {
        return !owner(row).equals(taken.place());
    }

    private RecordPlace owner(JobRow row) {
        RecordPlace started = row.timeline().startedRecord();
        return started != null
                ? started
                : row.submissions().stamps().stream()
                        .filter(stamp -> stamp.compareTo(taken.stamp()) < 0)
                        .findFirst()
                        .map(RecordStamp::place)
                        .orElse(taken.place());
    }

    private Optional<JobFailure> conflict(JobRow row) {
        RecordPlace owner = owner(row);
        return row.submissions().standing().stream()
                .filter(other -> other.stamp().place().equals(owner))
                .map(Submission::bodyHash)
                .filter(hash -> !hash.equals(taken.bodyHash()))
                .findFirst()
                .map(_ -> conflict(taken.job().id(), owner));
    }

    private static JobFailure conflict(JobId id, RecordPlace owner) {
        return JobFailure.of(
                JobFailure.Code.ID_CONFLICT,
                "job '%s' exists already with another body (record %s): another job needs another id"
                        .formatted(id, owner));
    }

    /**
     * Publishes the outcome of the job once more.
     *
     * @return false if the lock was lost before the outcome was published
     */
    private boolean replay(JobRow row) throws InterruptedException {
        Optional<String> kept = outcome(row);
        if (kept.isEmpty()) {
            return false;
        }
        String event = kept.get();
        if (event.isEmpty()) {
            LOG.debugf("job=%s record=%s a late duplicate: its answer is forgotten", row.id(), taken.place());
            return true;
        }
        Reading reading = row.timeline().reading();
        EventMark.Kind outcome = reading.outcome();
        String run = reading.run();
        if (outcome == null || run == null) {
            return true;
        }
        int tries = 1;
        while (!replies.replay(event, outcome, reading.attempt(), run)) {
            signal.pause(context.settings().retries().backoff(tries++));
            if (signal.reason() == StopSignal.Reason.LOCK_LOST || !delivery.renew()) {
                return false;
            }
        }
        return true;
    }

    /**
     * Returns the outcome to replay, as JSON. The text is empty if the ledger has deleted the outcome. The result is
     * {@code Optional.empty()} if the lock was lost before the outcome was read.
     */
    private Optional<String> outcome(JobRow row) throws InterruptedException {
        JobRow.Ending ending = row.ending();
        while (row.lacksOutcome()) {
            try {
                return Optional.of(context.ledger().outcome(row.id()));
            } catch (LedgerDatabase.Unavailable e) {
                LOG.debugf("job=%s %s: its outcome is read again", row.id(), e.getMessage());
            }
            signal.pause(LOOK_AGAIN);
            if (signal.reason() == StopSignal.Reason.LOCK_LOST || !delivery.renew()) {
                return Optional.empty();
            }
        }
        return Optional.of(ending == null ? "" : ending.event());
    }

    /** Counts the duplicate, unless it was deferred and therefore counted before. */
    private void count() {
        if (!taken.isDeferred()) {
            context.duplicates().increment();
            LOG.debugf("job=%s record=%s is a duplicate", taken.job().id(), taken.place());
        }
    }

    /**
     * Looks the job up in the ledger, or on the reply topic if the ledger is unavailable.
     *
     * @return null if the run was stopped before an answer arrived
     */
    private @Nullable Lookup look() throws InterruptedException {
        JobId id = taken.job().id();
        while (signal.reason() == null || signal.reason() == StopSignal.Reason.CANCELLED) {
            try {
                Ledger.Found found = context.ledger().lookUp(id);
                JobRow row = found.row().orElse(null);
                if (row == null) {
                    return new Lookup(
                            new Recovery.Known(Reading.START, null, RunStarts.NONE, found.replyOffset(), null), null);
                }
                Long started = row.timeline().startedMillis();
                Recovery.Known known = new Recovery.Known(
                        row.timeline().reading(),
                        started == null ? null : Instant.ofEpochMilli(started),
                        row.timeline().runs(),
                        found.replyOffset(),
                        null);
                return new Lookup(mayHaveText(known.reading()) ? known.with(read()) : known, row);
            } catch (Recovery.LookUpFailed e) {
                LOG.warnf("job=%s %s; trying again", id, e.getMessage());
                signal.pause(LOOK_AGAIN);
                continue;
            } catch (LedgerDatabase.Unavailable e) {
                LOG.debugf("job=%s %s: its reply partition is read", id, e.getMessage());
            }
            try {
                return new Lookup(read(), null);
            } catch (Recovery.LookUpFailed e) {
                LOG.warnf("job=%s %s; trying again", id, e.getMessage());
                signal.pause(LOOK_AGAIN);
            }
        }
        return null;
    }

    /** Returns whether this run may continue a text, which only the reply topic has. */
    private boolean mayHaveText(Reading reading) {
        return !reading.isClosed() && reading.attempt() > 0 && mayContinue();
    }

    private boolean mayContinue() {
        return ContinuePlan.mayContinue(handling.continuing(context.settings().continuing()), taken.job());
    }

    private Recovery.Known read() throws InterruptedException, Recovery.LookUpFailed {
        JobId id = taken.job().id();
        Instant since = taken.job().acceptedAt();
        return mayContinue()
                ? context.recovery().lookUpWithText(id, since)
                : context.recovery().lookUp(id, since);
    }
}
