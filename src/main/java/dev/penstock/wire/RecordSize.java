package dev.penstock.wire;

import java.util.Optional;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.header.Header;

/** How large a job's record may be. A broker measures what is compressed, so that a larger one may have come. */
public final class RecordSize {
    /** Bytes of key, headers and batch that come on top of a value. */
    public static final int OVERHEAD = 65_536;

    /** A value that is no larger is kept although it is no job: for its dead letter, and for the id in it. */
    private static final int LEAST_KEPT = 32 << 20;

    private RecordSize() {}

    /** What a reader of jobs keeps of a value, in bytes. */
    public static int kept(int maxRecord) {
        return Math.max(LEAST_KEPT, maxRecord);
    }

    /** @return what is too large, in words; empty: it is a job's, for workers and for the ledger alike */
    public static Optional<String> tooLarge(ConsumerRecord<byte[], byte[]> record, int maxRecord) {
        // what is far too large was not kept
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

    /** Whether a poll had no room for the value ({@link BoundedValues}): it is to be read again. */
    public static boolean isLeft(ConsumerRecord<byte[], byte[]> record, int maxRecord) {
        return record.value() == null
                && record.serializedValueSize() > 0
                && record.serializedValueSize() <= kept(maxRecord);
    }

    /** Bytes of the record in memory, once its value is read. */
    public static long bytes(ConsumerRecord<byte[], byte[]> record, int maxRecord) {
        byte[] value = record.value();
        long ofValue = value != null ? value.length : isLeft(record, maxRecord) ? record.serializedValueSize() : 0;
        return beside(record) + ofValue;
    }

    /** Bytes of key and headers. */
    public static long beside(ConsumerRecord<byte[], byte[]> record) {
        long bytes = record.key() == null ? 0 : record.key().length;
        for (Header header : record.headers()) {
            bytes += header.key().length() + (header.value() == null ? 0 : header.value().length);
        }
        return bytes;
    }
}
