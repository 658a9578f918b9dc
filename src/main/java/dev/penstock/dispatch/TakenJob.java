package dev.penstock.dispatch;

import dev.penstock.job.PromptJob;
import dev.penstock.job.RecordPlace;
import dev.penstock.job.RecordStamp;
import dev.penstock.wire.document.BodyHash;
import org.apache.kafka.common.utils.Bytes;
import org.jspecify.annotations.Nullable;

/**
 * A valid job, as it came off a topic.
 *
 * @param document the record's value
 * @param namesItself whether the producer chose the id, and other records may have it too; a derived id belongs to one
 *     record
 * @param stamp the record that the job came in; for a deferred record, its origin
 * @param deferred the place of the deferred record that was taken; null: the record itself was
 * @param traceparent the header of the job's producer; null where there is none
 */
public record TakenJob(
        PromptJob job,
        RecordStamp stamp,
        Bytes document,
        boolean namesItself,
        @Nullable RecordPlace deferred,
        @Nullable Bytes traceparent) {
    RecordPlace place() {
        return stamp.place();
    }

    boolean isDeferred() {
        return deferred != null;
    }

    /** The record that was taken. */
    RecordPlace inHand() {
        return deferred == null ? place() : deferred;
    }

    String bodyHash() {
        return BodyHash.of(document.get());
    }
}
