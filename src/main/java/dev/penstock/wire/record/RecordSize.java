package dev.penstock.wire.record;

import java.util.Optional;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.header.Header;

/** The largest size of a job's record. A broker measures compressed bytes, so a larger record may arrive. */
public final class RecordSize {
    /** The bytes that key, headers and batch may have in addition to the value. */
    public static final int OVERHEAD = 65_536;

    /**
     * Values up to this size are kept even if they are too large for a job. The dead letter contains the value, and the
     * job's id is read from it.
     */
    private static final int LEAST_KEPT = 32 << 20;

    private RecordSize() {}

    /** Returns the number of bytes of a value that a reader of jobs keeps. */
    public static int kept(int maxRecord) {
        return Math.max(LEAST_KEPT, maxRecord);
    }

    /**
     * @return a description of what is too large; empty if the size is right for a job. Replicas and the ledger use
     *     the same rule
     */
    public static Optional<String> tooLarge(ConsumerRecord<byte[], byte[]> record, int maxRecord) {
        // the value is null if it was far too large to be kept
        int value = record.value() == null ? Math.max(0, record.serializedValueSize()) : record.value().length;
        if (value > maxRecord) {
            return Optional.of(
                    "the job has %d bytes, the limit is %d (penstock.kafka.max-record)".formatted(value, maxRecord));
        }
        long others = beside(record);
        return others > OVERHEAD
                ? Optional.of("the record's key and headers have %d bytes, the limit is %d".formatted(others, OVERHEAD))
                : Optional.empty();
    }

    /** Returns whether a poll had no room for the value. Then the record must be read again. */
    public static boolean isLeft(ConsumerRecord<byte[], byte[]> record, int maxRecord) {
        return record.value() == null
                && record.serializedValueSize() > 0
                && record.serializedValueSize() <= kept(maxRecord);
    }

    /** Returns the number of bytes that the record takes in memory after its value is read. */
    public static long bytes(ConsumerRecord<byte[], byte[]> record, int maxRecord) {
        byte[] value = record.value();
        long ofValue = value != null ? value.length : isLeft(record, maxRecord) ? record.serializedValueSize() : 0;
        return beside(record) + ofValue;
    }

    /** Returns the number of bytes in the key and the headers. */
    public static long beside(ConsumerRecord<byte[], byte[]> record) {
        long bytes = record.key() == null ? 0 : record.key().length;
        for (Header header : record.headers()) {
            bytes += header.key().length() + (header.value() == null ? 0 : header.value().length);
        }
        return bytes;
    }
}
