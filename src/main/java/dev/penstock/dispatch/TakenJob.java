package dev.penstock.dispatch;

import dev.penstock.job.PromptJob;
import dev.penstock.job.RecordPlace;
import dev.penstock.job.RecordStamp;
import dev.penstock.settings.Conditions;
import dev.penstock.wire.document.BodyHash;
import org.apache.kafka.common.utils.Bytes;
import org.jspecify.annotations.Nullable;

/**
 * A valid job with the record in which it arrived.
 *
 * @param document the record's value
 * @param namesItself whether the producer chose the id, so that other records may have the same id; a derived id
 *     belongs to only one record
 * @param stamp the time and the place of the record in which the job arrived; for a deferred record, of its origin
 * @param deferred the place of the deferred record; null if the job came in the origin itself
 * @param source where the job comes from
 * @param traceparent the trace header for the job's events; null if there is none
 */
public record TakenJob(
        PromptJob job,
        RecordStamp stamp,
        Bytes document,
        boolean namesItself,
        @Nullable RecordPlace deferred,
        Conditions.Source source,
        @Nullable Bytes traceparent) {
    RecordPlace place() {
        return stamp.place();
    }

    boolean isDeferred() {
        return deferred != null;
    }

    /** Returns the place of the record in flight: the deferred record or the origin. */
    RecordPlace inHand() {
        return deferred == null ? place() : deferred;
    }

    String bodyHash() {
        return BodyHash.of(document.get());
    }
}
