package dev.penstock.reply;

import dev.penstock.job.EventMark;
import dev.penstock.job.JobId;
import dev.penstock.job.PublishedText;
import dev.penstock.job.Reading;
import dev.penstock.job.RecordPlace;
import dev.penstock.job.RunStarts;
import dev.penstock.wire.Reason;
import dev.penstock.wire.document.EventDocument;
import dev.penstock.wire.document.EventText;
import dev.penstock.wire.document.TextSoFar;
import dev.penstock.wire.record.EventHeaders;
import jakarta.inject.Singleton;
import java.time.Instant;
import java.util.concurrent.ExecutionException;
import java.util.function.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.KafkaException;
import org.jspecify.annotations.Nullable;

/** Reads the results of a job's earlier runs from the reply topic. */
@Singleton
public class Recovery {
    private final PartitionScans scans;
    private final ReplyTopic topic;

    public Recovery(PartitionScans scans, ReplyTopic topic) {
        this.scans = scans;
        this.topic = topic;
    }

    /**
     * The state of a job up to an offset of its reply partition.
     *
     * @param firstStarted when the job first ran; null if it never ran
     * @param runs the runs that have started the job
     * @param nextOffset the offset at which the next read begins
     * @param text the published text that another attempt can continue; null if there is none, or if it was not read
     */
    public record Known(
            Reading reading,
            @Nullable Instant firstStarted,
            RunStarts runs,
            long nextOffset,
            @Nullable PublishedText text) {
        public static final Known NOTHING = new Known(Reading.START, null, RunStarts.NONE, 0, null);

        /**
         * Adds what a later read of the topic found. The topic may have dropped older events, so it knows the text, and
         * this state knows the first start and the earlier runs.
         */
        public Known with(Known read) {
            if (read.reading().attempt() < reading.attempt()) {
                return this;
            }
            boolean newer = read.reading().attempt() > reading.attempt();
            return new Known(
                    read.reading(),
                    firstStarted == null ? read.firstStarted() : firstStarted,
                    newer ? read.runs() : runs,
                    read.nextOffset(),
                    read.text());
        }

        /** @param text receives the text of the events; null if it is not wanted */
        Known after(ConsumerRecord<byte[], byte[]> record, @Nullable TextSoFar text) {
            EventMark mark = EventHeaders.mark(record.headers()).orElse(null);
            if (mark == null || reading.judge(mark) == Reading.Verdict.VOID) {
                return this;
            }
            if (text != null) {
                EventText.add(mark, record.value(), text);
            }
            boolean first = firstStarted == null && mark.kind() == EventMark.Kind.STARTED;
            return new Known(
                    reading.after(mark),
                    first ? Instant.ofEpochMilli(record.timestamp()) : firstStarted,
                    runs.after(reading, mark),
                    nextOffset,
                    null);
        }
    }

    /** Reads all events of the job since the time of its record. */
    public Known lookUp(JobId id, Instant recordTime) throws InterruptedException, LookUpFailed {
        return read(id, new PartitionScans.Start.At(recordTime), Known.NOTHING, null);
    }

    /** Reads all events of the job since the time of its record, and the text of its chunks. */
    public Known lookUpWithText(JobId id, Instant recordTime) throws InterruptedException, LookUpFailed {
        return read(id, new PartitionScans.Start.At(recordTime), Known.NOTHING, new TextSoFar());
    }

    /** Reads all events of the job since the last look-up. */
    public Known lookUpAgain(JobId id, Known last) throws InterruptedException, LookUpFailed {
        return read(id, new PartitionScans.Start.Offset(last.nextOffset()), last, null);
    }

    /** Returns whether the reply topic already has the {@code rejected} event of this record. */
    public boolean wasRejected(JobId id, RecordPlace place, long recordMillis)
            throws InterruptedException, LookUpFailed {
        boolean[] found = {false};
        scan(id, new PartitionScans.Start.At(Instant.ofEpochMilli(recordMillis)), record -> {
            boolean rejected = EventHeaders.mark(record.headers())
                    .filter(mark -> mark.kind() == EventMark.Kind.REJECTED)
                    .isPresent();
            found[0] |= rejected && place.equals(EventDocument.rejectedPlace(record.value()));
        });
        return found[0];
    }

    private Known read(JobId id, PartitionScans.Start start, Known from, @Nullable TextSoFar text)
            throws InterruptedException, LookUpFailed {
        Known[] known = {from};
        long end = scan(id, start, record -> known[0] = known[0].after(record, text));
        PublishedText published = text == null ? null : text.published().orElse(null);
        return new Known(known[0].reading(), known[0].firstStarted(), known[0].runs(), end, published);
    }

    private long scan(JobId id, PartitionScans.Start start, Consumer<ConsumerRecord<byte[], byte[]>> visitor)
            throws InterruptedException, LookUpFailed {
        try {
            return scans.scan(topic.partitionOf(id), start, EventHeaders.utf8(id.value()), record -> {
                        visitor.accept(record);
                        return true;
                    })
                    .get();
        } catch (ExecutionException | KafkaException e) {
            throw new LookUpFailed(e);
        }
    }

    /** Reports that the reply partition could not be read. The run waits and tries again. */
    public static final class LookUpFailed extends Exception {
        LookUpFailed(Throwable cause) {
            super("the reply partition could not be read: " + Reason.of(cause), cause);
        }
    }
}
