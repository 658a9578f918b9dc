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
 * @param namesItself whether the id is the producer's choice, and other records may have it too; a derived one is the
 *     record's own
 * @param stamp of the record that the job came in; a copy's origin
 * @param copy where the copy lies that was taken; null: the record itself was
 * @param traceparent of the job's producer; null where there is none
 */
public record TakenJob(
        PromptJob job,
        RecordStamp stamp,
        Bytes document,
        boolean namesItself,
        @Nullable RecordPlace copy,
        @Nullable Bytes traceparent) {
    RecordPlace place() {
        return stamp.place();
    }

    boolean isDeferred() {
        return copy != null;
    }

    /** The very record in hand. */
    RecordPlace inHand() {
        return copy == null ? place() : copy;
    }

    String bodyHash() {
        return BodyHash.of(document.get());
    }
}
