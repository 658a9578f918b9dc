package dev.penstock.ledger.row;

import dev.penstock.job.EventMark;
import dev.penstock.job.JobId;
import dev.penstock.job.JobState;
import dev.penstock.job.PromptJob;
import dev.penstock.job.RecordPlace;
import dev.penstock.job.RecordStamp;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.apache.kafka.common.utils.Bytes;
import org.jspecify.annotations.Nullable;

/**
 * Everything that the ledger knows about one job. It merges events in the order of their partition, and everything else
 * by union or minimum. So any interleaving of the partitions, and any repetition, gives the same row.
 *
 * @param cancelMillis the time of the first command to cancel the job
 * @param ending the content of the outcome; null if the job is open or the outcome was not loaded
 * @param forgotten whether the retention is over, or a caller deleted the answer; then the row has only the values that
 *     identify a late duplicate
 */
public record JobRow(
        JobId id,
        Submissions submissions,
        @Nullable Long cancelMillis,
        JobTimeline timeline,
        @Nullable Ending ending,
        boolean forgotten) {

    /**
     * The value of an outcome, and the parts of it that lists show.
     *
     * @param event the whole event as JSON; empty if it is large, or not kept any more
     * @param error JSON; null if there is none
     * @param usage JSON; null if there is none
     */
    public record Ending(
            String event, @Nullable String error, @Nullable String usage) {}

    public static JobRow unknown(JobId id) {
        return new JobRow(id, Submissions.NONE, null, JobTimeline.NONE, null, false);
    }

    /** Returns the row of a job that was just accepted. It contains only the submission. */
    public static JobRow accepted(PromptJob job, Instant at) {
        RecordStamp nowhere = new RecordStamp(at.toEpochMilli(), new RecordPlace("", 0, 0));
        return unknown(job.id()).after(new Change.Submitted(Submission.of(job, nowhere, ""), ""));
    }

    /** Returns the row after one more event of its reply partition. */
    public JobRow after(EventMark mark, long offset, long millis, Bytes value) {
        return Projection.happened(mark, offset, millis, value.get())
                .map(this::after)
                .orElse(this);
    }

    /** One change of a job, read from a topic. */
    public sealed interface Change {
        /**
         * Returns the time of the change. If nothing else is known about the job, the retention of its row begins at
         * this time.
         */
        long millis();

        /** @param document the request; the ledger stores it in another table */
        record Submitted(Submission submission, String document) implements Change {
            @Override
            public long millis() {
                return submission.stamp().millis();
            }
        }

        record Refused(Refusal refusal) implements Change {
            @Override
            public long millis() {
                return refusal.record().millis();
            }
        }

        record Deferred(Submissions.DeferredRecord record) implements Change {
            @Override
            public long millis() {
                return record.stamp().millis();
            }
        }

        record Cancel(long millis) implements Change {}

        /** No caller finds the job any more. */
        record Forget(long millis) implements Change {}

        /** @param ending null if the event is a {@code started} */
        record Happened(JobTimeline.Event event, @Nullable Ending ending) implements Change {
            @Override
            public long millis() {
                return event.millis();
            }
        }
    }

    /**
     * Returns the row after these changes. It merges all records and refusals at once, so their order does not matter.
     */
    public JobRow after(List<Change> changes) {
        List<Submission> submitted = new ArrayList<>();
        List<Refusal> refused = new ArrayList<>();
        JobRow row = this;
        for (Change change : changes) {
            switch (change) {
                case Change.Submitted(Submission submission, String _) -> submitted.add(submission);
                case Change.Refused(Refusal refusal) -> refused.add(refusal);
                case Change.Deferred _, Change.Cancel _, Change.Forget _, Change.Happened _ -> row = row.after(change);
            }
        }
        Submissions merged = row.submissions.withRefusals(submitted, refused);
        return new JobRow(id, merged, row.cancelMillis, row.timeline, row.ending, row.forgotten);
    }

    public JobRow after(Change change) {
        return switch (change) {
            case Change.Submitted _, Change.Refused _ -> after(List.of(change));
            case Change.Deferred(Submissions.DeferredRecord record) ->
                new JobRow(id, submissions.withDeferred(record), cancelMillis, timeline, ending, forgotten);
            case Change.Cancel(long millis) -> cancelled(millis, forgotten);
            // the time also tells the retention of a row that has nothing but this command
            case Change.Forget(long millis) -> cancelled(millis, true);
            case Change.Happened(JobTimeline.Event event, Ending outcome) ->
                new JobRow(
                        id,
                        submissions,
                        cancelMillis,
                        timeline.after(event),
                        outcome != null && timeline.accepts(event) ? outcome : ending,
                        forgotten);
        };
    }

    private JobRow cancelled(long millis, boolean forgets) {
        long first = cancelMillis == null ? millis : Math.min(cancelMillis, millis);
        return new JobRow(id, submissions, first, timeline, ending, forgets);
    }

    /** Returns the same row after a topic got a new name. */
    public JobRow ofTopic(String topic, String name) {
        return new JobRow(
                id, submissions.ofTopic(topic, name), cancelMillis, timeline.ofTopic(topic, name), ending, forgotten);
    }

    /** Returns the job; empty if no record of it was read, or if its retention is over. */
    public Optional<JobState> state() {
        return forgotten ? Optional.empty() : submissions.chosen().map(this::state);
    }

    /** Returns the refusal if nothing else is known about this id: no valid record, and no event. */
    public Optional<Refusal> rejected() {
        return forgotten
                        || timeline.reading().attempt() >= 0
                        || submissions.chosen().isPresent()
                ? Optional.empty()
                : Optional.ofNullable(submissions.refusal());
    }

    /** Returns whether a reader has nothing to wait for: the job has an outcome, or there is no job. */
    public boolean isOver() {
        return timeline.reading().isClosed() || rejected().isPresent();
    }

    /** Returns the row of an id whose record was refused while a reader waited for it. */
    public JobRow rejectedBy(long offset, long millis, Bytes value) {
        return Refusal.of(offset, millis, value.get())
                .map(refusal -> unknown(id).after(new Change.Refused(refusal)))
                .orElse(this);
    }

    /** Returns whether the job has an outcome that the ledger may keep and that is not loaded yet. */
    public boolean lacksOutcome() {
        return ending != null && ending.event().isEmpty() && !forgotten;
    }

    /** Returns the same row with its outcome. */
    public JobRow withOutcome(String event) {
        Ending known = ending;
        return known == null
                ? this
                : new JobRow(
                        id,
                        submissions,
                        cancelMillis,
                        timeline,
                        new Ending(event, known.error(), known.usage()),
                        forgotten);
    }

    /** Returns the status that the filters of lists use. */
    public JobState.Status status() {
        return rejected().isPresent() ? JobState.Status.REJECTED : JobState.Status.of(timeline.reading());
    }

    private JobState state(Submission record) {
        return new JobState(
                id,
                JobState.Status.of(timeline.reading()),
                record.task(),
                timeline.model() == null ? record.model() : timeline.model(),
                record.priority(),
                record.tenant(),
                Instant.ofEpochMilli(record.stamp().millis()),
                timeline.startedMillis() == null ? null : Instant.ofEpochMilli(timeline.startedMillis()),
                timeline.finishedMillis() == null ? null : Instant.ofEpochMilli(timeline.finishedMillis()),
                timeline.attempts(),
                timeline.node(),
                timeline.backend(),
                record.metadata());
    }

    /**
     * Returns the time at which a running job exceeds its timeout; null if it does not run, or no record of it was
     * read.
     */
    public @Nullable Long overdueMillis() {
        Long started = timeline.startedMillis();
        if (started == null || timeline.finishedMillis() != null || forgotten) {
            return null;
        }
        return submissions
                .chosen()
                .map(record -> started + Math.min(record.timeoutMillis(), Long.MAX_VALUE - Math.max(started, 0L)))
                .orElse(null);
    }
}
