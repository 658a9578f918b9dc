package dev.penstock.reply;

import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.job.RecordPlace;
import dev.penstock.wire.record.EventHeaders;
import java.time.Instant;
import java.util.Optional;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.utils.Bytes;
import org.jspecify.annotations.Nullable;

/**
 * A record on the dead-letter topic.
 *
 * @param at the time when the record was written to the topic
 * @param reason the code of the failure, such as invalid_request or poison
 * @param origin the place of the original record
 * @param attempts the number of attempts before the failure
 * @param value the value of the original record; null if it had none
 * @param webhook the outcome that could not be posted; null if the original record is not of the webhook topic
 */
public record DeadLetter(
        int partition,
        long offset,
        Instant at,
        String reason,
        String message,
        RecordPlace origin,
        int attempts,
        JobId jobId,
        @Nullable Bytes value,
        @Nullable WebhookRecord webhook) {
    private static final String CLOSES = "dlq-closes";
    private static final String CLOSED = "dlq-closed";

    /** Returns the id that clients use for the dead letter. */
    public String id() {
        return partition + "-" + offset;
    }

    /**
     * Reads a dead letter; empty if the record is a note that closes a dead letter, or if Penstock did not write the
     * record.
     */
    static Optional<DeadLetter> of(ConsumerRecord<byte[], byte[]> record) {
        Headers headers = record.headers();
        String reason = EventHeaders.text(headers, "dlq-reason");
        String job = EventHeaders.text(headers, "dlq-job-id");
        if (reason == null || job == null || !JobId.isValid(job)) {
            return Optional.empty();
        }
        try {
            return Optional.of(new DeadLetter(
                    record.partition(),
                    record.offset(),
                    Instant.ofEpochMilli(record.timestamp()),
                    reason,
                    String.valueOf(EventHeaders.text(headers, "dlq-message")),
                    new RecordPlace(
                            String.valueOf(EventHeaders.text(headers, "dlq-topic")),
                            Integer.parseInt(String.valueOf(EventHeaders.text(headers, "dlq-partition"))),
                            Long.parseLong(String.valueOf(EventHeaders.text(headers, "dlq-offset")))),
                    Integer.parseInt(String.valueOf(EventHeaders.text(headers, "dlq-attempts"))),
                    new JobId(job),
                    record.value() == null ? null : Bytes.wrap(record.value()),
                    reason.equals(JobFailure.Code.WEBHOOK_FAILED.wireName())
                            ? WebhookRecord.of(record).orElse(null)
                            : null));
        } catch (NumberFormatException _) {
            return Optional.empty();
        }
    }

    /** Returns a dead letter that only serves as a position in a list. */
    public static DeadLetter place(Instant at, int partition, long offset) {
        return new DeadLetter(
                partition, offset, at, "", "", new RecordPlace("", 0, 0), 0, new JobId("none"), null, null);
    }

    DeadLetter withoutValue() {
        return new DeadLetter(partition, offset, at, reason, message, origin, attempts, jobId, null, null);
    }

    static Headers closing(long offset, String how) {
        return new RecordHeaders()
                .add(CLOSES, EventHeaders.utf8(Long.toString(offset)))
                .add(CLOSED, EventHeaders.utf8(how));
    }

    /**
     * Returns the offset of the dead letter that this note closes; empty if this record is no note. Both are in the
     * same partition.
     */
    static Optional<Long> closes(ConsumerRecord<byte[], byte[]> record) {
        String offset = EventHeaders.text(record.headers(), CLOSES);
        // a dead letter keeps the headers of its original record, and one of them may look like the header of a note
        boolean letter = EventHeaders.text(record.headers(), "dlq-reason") != null;
        return offset != null && !letter && offset.matches("\\d{1,18}")
                ? Optional.of(Long.valueOf(offset))
                : Optional.empty();
    }

    static String closed(ConsumerRecord<byte[], byte[]> record) {
        return String.valueOf(EventHeaders.text(record.headers(), CLOSED));
    }
}
