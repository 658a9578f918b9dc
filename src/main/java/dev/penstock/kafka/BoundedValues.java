package dev.penstock.kafka;

import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.errors.SerializationException;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.Deserializer;
import org.jspecify.annotations.Nullable;

/**
 * Reads values as bytes, with a limit for each value and for all values of one poll. A value above its limit becomes
 * null; the record's {@code serializedValueSize} has its size. A broker measures compressed bytes, so 24 kB may
 * become 300 MB. Such a value is in memory once, during the read, and is not kept. A fetch of some kB may be 500
 * records of 8 MiB, so one poll does not keep all of them. It belongs to one consumer, on its thread.
 */
public final class BoundedValues implements Deserializer<byte[]> {
    private static final int HEAP_SHARE = 64;
    private static final long LEAST_OF_POLL = 2 << 20;

    private final int most;
    private final long ofPoll;
    private final Beyond beyond;
    private long kept;

    /** How to handle a value when a poll has no more room. */
    public enum Beyond {
        /**
         * The record comes without its value, and its reader reads it again. It is for a share consumer, which cannot
         * receive a record later.
         */
        LEFT,
        /** The poll ends before the record, and the next poll begins with it. A poll keeps at least one record. */
        NEXT_POLL
    }

    /** Ends a poll; the consumer (4.3.1) tries the record again at the next poll. */
    public static final class NextPoll extends SerializationException {
        NextPoll() {
            super("the poll has enough");
        }
    }

    /**
     * @param most the largest value, in bytes
     * @param ofPoll the largest size of all values of one poll together, in bytes
     */
    public BoundedValues(int most, long ofPoll, Beyond beyond) {
        this.most = most;
        this.ofPoll = ofPoll;
        this.beyond = beyond;
    }

    /**
     * Returns a consumer whose polls each bring at most a 64th of the heap and one record into memory, so that a
     * dozen consumers may read at once. A fetch of compressed records may expand to a thousand times its size.
     *
     * @param keys the properties of the consumer, including the properties from the user
     * @param most the largest value, in bytes; a larger one is not kept
     */
    public static KafkaConsumer<byte[], byte[]> consumer(Map<String, Object> keys, int most) {
        BoundedValues values = new BoundedValues(
                most, Math.max(LEAST_OF_POLL, Runtime.getRuntime().maxMemory() / HEAP_SHARE), Beyond.NEXT_POLL);
        return new KafkaConsumer<>(keys, new ByteArrayDeserializer(), values) {
            @Override
            public ConsumerRecords<byte[], byte[]> poll(Duration timeout) {
                values.begin();
                return super.poll(timeout);
            }
        };
    }

    /** A poll begins. */
    public void begin() {
        kept = 0;
    }

    @Override
    public byte @Nullable [] deserialize(String topic, byte @Nullable [] value) {
        return value == null || !keeps(value.length) ? null : value;
    }

    @Override
    public byte @Nullable [] deserialize(String topic, Headers headers, @Nullable ByteBuffer value) {
        if (value == null || !keeps(value.remaining())) {
            return null;
        }
        byte[] bytes = new byte[value.remaining()];
        value.get(bytes);
        return bytes;
    }

    private boolean keeps(int bytes) {
        if (bytes > most) {
            return false;
        }
        if (kept + bytes > ofPoll) {
            switch (beyond) {
                case LEFT -> {
                    return false;
                }
                case NEXT_POLL -> {
                    if (kept > 0) {
                        throw new NextPoll();
                    }
                }
            }
        }
        kept += bytes;
        return true;
    }
}
