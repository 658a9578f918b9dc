package dev.penstock.api.jobs;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.api.call.AnswerBudget;
import dev.penstock.api.call.ApiException;
import dev.penstock.api.call.Lists;
import dev.penstock.dispatch.Waits;
import dev.penstock.intake.SubmissionProducer;
import dev.penstock.job.EventMark;
import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.job.JobState;
import dev.penstock.job.RecordPlace;
import dev.penstock.job.RecordStamp;
import dev.penstock.job.Waiting;
import dev.penstock.ledger.Ledger;
import dev.penstock.ledger.database.LedgerDatabase;
import dev.penstock.ledger.database.Queries;
import dev.penstock.ledger.row.JobRow;
import dev.penstock.ledger.row.Refusal;
import dev.penstock.ledger.row.Submission;
import dev.penstock.reply.LiveReplies;
import dev.penstock.reply.ResumePoint;
import dev.penstock.reply.Watch;
import dev.penstock.settings.Settings;
import dev.penstock.wire.Json;
import dev.penstock.wire.Reason;
import dev.penstock.wire.document.BodyHash;
import dev.penstock.wire.document.EventDocument;
import dev.penstock.wire.document.JobObject;
import jakarta.inject.Singleton;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import org.apache.kafka.common.utils.Bytes;
import org.jboss.logging.Logger;
import org.jspecify.annotations.Nullable;

/** Finds jobs in the ledger for callers, shows and watches them, and waits for their outcomes. */
@Singleton
public final class JobLookup {
    private static final Logger LOG = Logger.getLogger(JobLookup.class);

    private final Ledger ledger;
    private final LiveReplies replies;
    private final Settings settings;
    private final Waits waits;

    public JobLookup(Ledger ledger, LiveReplies replies, Settings settings, Waits waits) {
        this.ledger = ledger;
        this.replies = replies;
        this.settings = settings;
        this.waits = waits;
    }

    /** Returns a job that any replica has accepted. Otherwise the call fails with not_found or ledger_unavailable. */
    public JobRow find(JobId id) throws InterruptedException {
        return found(id).row().orElseThrow();
    }

    private Ledger.Found found(JobId id) throws InterruptedException {
        try {
            Ledger.Found found = ledger.find(id);
            if (!found.isThere()) {
                throw new ApiException(JobFailure.of(
                        JobFailure.Code.NOT_FOUND,
                        "job '%s' not found: there was none, or it ended more than %s ago (penstock.ledger.retention)"
                                .formatted(id, settings.ledger().retention())));
            }
            return found;
        } catch (LedgerDatabase.Unavailable e) {
            throw unavailable(e);
        }
    }

    private static ApiException unavailable(LedgerDatabase.Unavailable e) {
        return new ApiException(JobFailure.of(
                JobFailure.Code.LEDGER_UNAVAILABLE,
                "%s: the state of jobs cannot be read now. Jobs and replies go on".formatted(e.getMessage())));
    }

    /** Returns whether the configuration has a ledger. Without a ledger, no job can be looked up. */
    public boolean isKept() {
        return settings.ledger().kind() != Settings.LedgerKind.NONE;
    }

    /** Returns the job with its answer, as soon as there is memory for the answer. */
    public JobRow withAnswer(JobRow row, AnswerBudget.Share share) throws InterruptedException {
        JobRow.Ending ending = row.ending();
        if (ending == null) {
            return row;
        }
        try {
            long bytes = row.lacksOutcome()
                    ? ledger.outcomeBytes(row.id())
                    : ending.event().length();
            share.mustTake(AnswerBudget.COPIES * bytes);
            return row.lacksOutcome() ? row.withOutcome(ledger.outcome(row.id())) : row;
        } catch (LedgerDatabase.Unavailable e) {
            throw unavailable(e);
        }
    }

    /** Returns the document of a job's request; empty if the ledger does not keep it any more. */
    public Optional<String> request(JobRow row) throws InterruptedException {
        Submission record = row.submissions().chosen().orElse(null);
        try {
            return record == null ? Optional.empty() : ledger.request(row.id(), record.bodyHash());
        } catch (LedgerDatabase.Unavailable e) {
            throw unavailable(e);
        }
    }

    /** Waits until the ledger contains all commands that were sent before this call. */
    void awaitCommands() throws InterruptedException {
        try {
            ledger.awaitCommands();
        } catch (LedgerDatabase.Unavailable e) {
            throw unavailable(e);
        }
    }

    /** Returns a page of jobs without their answers. */
    ObjectNode list(Queries.Filter filter, Queries.@Nullable Cursor after, int limit, AnswerBudget.Share share)
            throws InterruptedException {
        share.mustTake((long) limit * AnswerBudget.ROW);
        try {
            Queries.Page page = ledger.list(filter, after, limit);
            ArrayNode jobs = Json.mapper().createArrayNode();
            for (JobRow row : page.rows()) {
                jobs.add(shortly(row));
            }
            Queries.Cursor next = page.next();
            return Lists.of(jobs).put("next", next == null ? null : next.toString());
        } catch (LedgerDatabase.Unavailable e) {
            throw unavailable(e);
        }
    }

    /** Returns the job object. If the job waits, the object has its place in the queue. */
    ObjectNode show(JobRow row) throws InterruptedException {
        if (row.rejected().isPresent()) {
            return shortly(row);
        }
        JobState state = row.state().orElseThrow();
        try {
            Ledger.Place place = ledger.place(state).orElse(null);
            return place == null
                    ? shortly(row)
                    : JobObject.of(state, place.ahead(), place.estimatedWait(), ending(row), waiting(row));
        } catch (LedgerDatabase.Unavailable _) {
            return shortly(row);
        }
    }

    /** Returns the job object without a place in the queue. It contains the job's answer only if the row does. */
    ObjectNode shortly(JobRow row) {
        return row.rejected()
                .map(refusal -> JobObject.rejected(
                        row.id(),
                        refusal.event(),
                        Instant.ofEpochMilli(refusal.record().millis())))
                .orElseGet(() -> JobObject.of(row.state().orElseThrow(), null, null, ending(row), waiting(row)));
    }

    private @Nullable Waiting waiting(JobRow row) {
        return waits.of(row).orElse(null);
    }

    private static JobObject.@Nullable Ending ending(JobRow row) {
        JobRow.Ending ending = row.ending();
        return ending == null ? null : new JobObject.Ending(ending.event(), ending.error(), ending.usage());
    }

    /** Returns the jobs that the ledger already has, by their ids. If the ledger is unavailable, the map is empty. */
    Map<JobId, JobRow> alreadyThere(Collection<SubmissionProducer.Checked.Fit> submissions)
            throws InterruptedException {
        List<JobId> given = submissions.stream()
                .filter(SubmissionProducer.Checked.Fit::idWasGiven)
                .map(fit -> fit.job().id())
                .toList();
        Map<JobId, JobRow> there = new HashMap<>();
        if (!given.isEmpty() && isKept()) {
            try {
                ledger.findAll(given).forEach(row -> there.put(row.id(), row));
            } catch (LedgerDatabase.Unavailable e) {
                LOG.debugf("submitted without a look-up: %s", e.getMessage());
            }
        }
        return there;
    }

    /** Returns why a job cannot be submitted with the id of an existing job; empty if both are the same job. */
    static Optional<JobFailure> conflict(JobRow there, SubmissionProducer.Checked.Fit fit) {
        if (there.forgotten()) {
            return Optional.of(JobFailure.of(
                    JobFailure.Code.ID_CONFLICT,
                    "job '%s' has ended, and its answer has expired: another job needs another id"
                            .formatted(there.id())));
        }
        String hash = BodyHash.of(fit.document().get());
        return there.submissions()
                .chosen()
                .map(Submission::bodyHash)
                .filter(known -> !known.equals(hash))
                .map(_ -> JobFailure.of(
                        JobFailure.Code.ID_CONFLICT,
                        "job '%s' exists already with another body: another job needs another id"
                                .formatted(there.id())));
    }

    /** Watches a job. With {@code mustBeThere}, the call fails if the ledger does not have the job. */
    public Watch watch(JobId id, ResumePoint from, boolean mustBeThere) throws InterruptedException {
        try {
            return replies.watch(id, from, () -> past(id, mustBeThere));
        } catch (LiveReplies.Unavailable e) {
            throw unreadable(e);
        }
    }

    /**
     * Watches a job whose record is not written yet. A new id has no events. An id that the client chose may have some.
     */
    Watch watchSubmitted(SubmissionProducer.Checked.Fit fit) throws InterruptedException {
        JobId id = fit.job().id();
        if (fit.idWasGiven()) {
            return watch(id, ResumePoint.START, false);
        }
        try {
            return replies.watchFresh(id);
        } catch (LiveReplies.Unavailable e) {
            throw unreadable(e);
        }
    }

    private static ApiException unreadable(LiveReplies.Unavailable e) {
        LOG.warnf("%s: %s", e.getMessage(), Reason.of(e.getCause()));
        return new ApiException(JobFailure.of(JobFailure.Code.BROKER_UNAVAILABLE, String.valueOf(e.getMessage())));
    }

    private LiveReplies.Past past(JobId id, boolean mustBeThere) throws InterruptedException {
        if (!isKept()) {
            return mustBeThere ? LiveReplies.Past.UNKNOWN : LiveReplies.Past.UNREAD;
        }
        Ledger.Found found;
        if (mustBeThere) {
            found = found(id);
        } else {
            try {
                found = ledger.findNow(id);
            } catch (LedgerDatabase.Unavailable _) {
                return LiveReplies.Past.UNREAD;
            }
        }
        JobRow row = found.row().orElse(null);
        Refusal refusal = row == null || !mustBeThere ? null : row.rejected().orElse(null);
        if (refusal != null) {
            return new LiveReplies.Past(refusal.offset(), LiveReplies.Kept.of(refused(refusal)), Set.of());
        }
        Long first = row == null ? null : row.timeline().firstOffset();
        return new LiveReplies.Past(
                first == null ? found.replyOffset() : first,
                row == null ? null : outcome(row),
                row == null || !mustBeThere ? Set.of() : records(row));
    }

    /**
     * Returns the records of a job. If all of them are refused, the job does not exist. If the ledger does not know all
     * of the job's records, the set is empty.
     */
    private static Set<RecordPlace> records(JobRow row) {
        return row.submissions().leftOut().isEmpty()
                ? row.submissions().stamps().stream().map(RecordStamp::place).collect(Collectors.toSet())
                : Set.of();
    }

    private static Watch.Known refused(Refusal refusal) {
        EventMark mark = new EventMark(EventMark.Kind.REJECTED, 0, "", 0);
        Bytes event = Bytes.wrap(refusal.event().getBytes(StandardCharsets.UTF_8));
        return new Watch.Known(mark, event, refusal.offset(), refusal.record().millis());
    }

    /**
     * Returns whether the events before this point included the last event of the stream: the refusal of the job's
     * record.
     */
    boolean hasEnded(JobId id, ResumePoint from) throws InterruptedException {
        return from.nextOffset() > 0
                && from.reading().attempt() < 0
                && isKept()
                && find(id).rejected()
                        .filter(refusal -> refusal.offset() < from.nextOffset())
                        .isPresent();
    }

    private LiveReplies.@Nullable Kept outcome(JobRow row) {
        JobRow.Ending ending = row.ending();
        EventMark.Kind kind = row.timeline().reading().outcome();
        String run = row.timeline().reading().run();
        Long offset = row.timeline().outcomeOffset();
        Long millis = row.timeline().finishedMillis();
        if (ending == null || row.forgotten() || kind == null || run == null || offset == null || millis == null) {
            return null;
        }
        EventMark head = new EventMark(kind, row.timeline().reading().attempt(), run, 0);
        String small = ending.event();
        long place = offset;
        long at = millis;
        return new LiveReplies.Kept() {
            @Override
            public long offset() {
                return place;
            }

            @Override
            public Watch.Known read() throws InterruptedException, LedgerDatabase.Unavailable {
                String event = row.lacksOutcome() ? ledger.outcome(row.id()) : small;
                EventMark mark = new EventMark(head.kind(), head.attempt(), head.run(), EventDocument.seq(event));
                return new Watch.Known(mark, Bytes.wrap(event.getBytes(StandardCharsets.UTF_8)), place, at);
            }
        };
    }

    /**
     * Waits for a job's outcome, or for the refusal of its record. If the job's events cannot be read any more, the
     * wait ends, and the job continues.
     *
     * @param row the present state of the job
     * @param room the memory for the outcome; if no memory is available, the wait ends too
     * @return the state of the job at the end of the wait
     */
    public static JobRow await(Watch watch, JobRow row, Duration atMost, AnswerBudget.Room room)
            throws InterruptedException {
        JobRow known = row;
        watch.passOverChunks();
        long until = System.nanoTime() + atMost.toNanos();
        while (true) {
            switch (watch.next(Duration.ofNanos(Math.max(0, until - System.nanoTime())))) {
                case Watch.Next.Event event
                when event.mark().kind() == EventMark.Kind.REJECTED -> {
                    return known.rejectedBy(event.offset(), event.millis(), event.value());
                }
                case Watch.Next.Event event
                when !room.take((long) AnswerBudget.COPIES * event.value().get().length) -> {
                    return known;
                }
                case Watch.Next.Event event ->
                    known = known.after(event.mark(), event.offset(), event.millis(), event.value());
                case Watch.Next.Failed(JobFailure failure) -> {
                    LOG.warnf("job=%s its outcome is not waited for: %s", known.id(), failure.message());
                    return known;
                }
                case Watch.Next.Nothing _, Watch.Next.Ended _, Watch.Next.TooSlow _ -> {
                    return known;
                }
            }
        }
    }

    /**
     * Returns the row. If the job's record was refused, the call fails with the same error as for a document that is
     * refused before its record is written.
     */
    static JobRow accepted(JobRow row) {
        row.rejected().ifPresent(refusal -> {
            throw new ApiException(EventDocument.failure(refusal.event().getBytes(StandardCharsets.UTF_8))
                    .orElse(JobFailure.of(JobFailure.Code.INTERNAL, "the record was refused")));
        });
        return row;
    }

    /** Returns the state of a job that was just accepted. */
    static JobRow accepted(SubmissionProducer.Checked.Fit fit, Instant at) {
        return JobRow.accepted(fit.job(), at);
    }
}
