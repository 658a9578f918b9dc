package dev.penstock.reply;

import dev.penstock.job.JobId;
import dev.penstock.job.RecordPlace;
import dev.penstock.wire.EventHeaders;
import java.time.Instant;
import java.util.Optional;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.utils.Bytes;
import org.jspecify.annotations.Nullable;

/**
 * A record that became no answered job, as it lies on the dead-letter topic.
 *
 * @param at when it was put there
 * @param reason the code of the failure, such as invalid_request or poison
 * @param origin the record that the job came in
 * @param attempts that were made before
 * @param value null where the record had none
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
        @Nullable Bytes value) {
    private static final String CLOSES = "dlq-closes";
    private static final String CLOSED = "dlq-closed";

    /** How a caller names it. */
    public String id() {
        return partition + "-" + offset;
    }

    /** Empty for a note that closes another, and where somebody else wrote it. */
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
                    record.value() == null ? null : Bytes.wrap(record.value())));
        } catch (NumberFormatException _) {
            return Optional.empty();
        }
    }

    /** One that stands only for its place in a list. */
    public static DeadLetter place(Instant at, int partition, long offset) {
        return new DeadLetter(partition, offset, at, "", "", new RecordPlace("", 0, 0), 0, new JobId("none"), null);
    }

    DeadLetter withoutValue() {
        return new DeadLetter(partition, offset, at, reason, message, origin, attempts, jobId, null);
    }

    static Headers closing(long offset, String how) {
        return new RecordHeaders()
                .add(CLOSES, EventHeaders.utf8(Long.toString(offset)))
                .add(CLOSED, EventHeaders.utf8(how));
    }

    /** Which offset of the same partition a note closes; empty where it is none. */
    static Optional<Long> closes(ConsumerRecord<byte[], byte[]> record) {
        String offset = EventHeaders.text(record.headers(), CLOSES);
        // a record that was dead-lettered may have had such a header itself
        boolean letter = EventHeaders.text(record.headers(), "dlq-reason") != null;
        return offset != null && !letter && offset.matches("\\d{1,18}")
                ? Optional.of(Long.valueOf(offset))
                : Optional.empty();
    }

    static String closed(ConsumerRecord<byte[], byte[]> record) {
        return String.valueOf(EventHeaders.text(record.headers(), CLOSED));
    }
}
