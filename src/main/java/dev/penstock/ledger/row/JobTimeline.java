package dev.penstock.ledger.row;

import dev.penstock.job.EventMark;
import dev.penstock.job.Reading;
import dev.penstock.job.RecordPlace;
import dev.penstock.job.RunStarts;
import org.jspecify.annotations.Nullable;

/**
 * The contents of a job's events, read in the order of their partition by the reading rule. It keeps the offset of the
 * last applied event, so a repeated event has no effect.
 *
 * @param appliedOffset the offset of the last applied event; −1 if there is none
 * @param firstOffset the offset of the first valid event
 * @param startedRecord the record in the last valid {@code started}
 * @param startedMillis the time of the first valid {@code started}
 * @param finishedMillis the time of the outcome
 * @param attempts the number of the last attempt that started
 * @param outcomeOffset the offset of the outcome
 */
public record JobTimeline(
        Reading reading,
        long appliedOffset,
        @Nullable Long firstOffset,
        @Nullable RecordPlace startedRecord,
        @Nullable Long startedMillis,
        @Nullable Long finishedMillis,
        int attempts,
        RunStarts runs,
        @Nullable String node,
        @Nullable String backend,
        @Nullable String model,
        @Nullable Long outcomeOffset) {
    static final JobTimeline NONE =
            new JobTimeline(Reading.START, -1, null, null, null, null, 0, RunStarts.NONE, null, null, null, null);

    /**
     * A {@code started} or an outcome, with the parts that the ledger keeps.
     *
     * @param started null for an outcome
     */
    public record Event(
            EventMark mark,
            long offset,
            long millis,
            @Nullable Started started) {}

    public record Started(
            RecordPlace record,
            @Nullable String node,
            @Nullable String backend,
            @Nullable String model) {}

    JobTimeline ofTopic(String topic, String name) {
        return startedRecord == null || !startedRecord.topic().equals(topic)
                ? this
                : with(appliedOffset, startedRecord.ofTopic(topic, name));
    }

    private JobTimeline with(long applied, @Nullable RecordPlace record) {
        return new JobTimeline(
                reading,
                applied,
                firstOffset,
                record,
                startedMillis,
                finishedMillis,
                attempts,
                runs,
                node,
                backend,
                model,
                outcomeOffset);
    }

    /** Returns whether this event is new and valid. */
    boolean accepts(Event event) {
        return event.offset() > appliedOffset && reading.judge(event.mark()) != Reading.Verdict.VOID;
    }

    JobTimeline after(Event event) {
        if (event.offset() <= appliedOffset) {
            return this;
        }
        if (!accepts(event)) {
            return with(event.offset(), startedRecord);
        }
        Started started = event.started();
        boolean over = event.mark().kind().isOutcome();
        return new JobTimeline(
                reading.after(event.mark()),
                event.offset(),
                firstOffset == null ? (Long) event.offset() : firstOffset,
                started == null ? startedRecord : started.record(),
                startedMillis == null && started != null ? (Long) event.millis() : startedMillis,
                over ? (Long) event.millis() : null,
                started == null ? attempts : event.mark().attempt(),
                runs.after(reading, event.mark()),
                started == null ? node : started.node(),
                started == null ? backend : started.backend(),
                started == null ? model : started.model(),
                over ? (Long) event.offset() : null);
    }
}
