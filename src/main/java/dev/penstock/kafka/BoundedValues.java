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
 * null; the record's {@code serializedValueSize} has its size. A broker measures compressed bytes, so a value of 24
 * kB on the broker may have 300 MB in memory. Such a value is in memory only while the client reads it. A fetch of
 * some kB may contain 500 records of 8 MiB, so one poll does not keep all of them. Each consumer has its own object
 * of this class, and uses it on its thread.
 */
public final class BoundedValues implements Deserializer<byte[]> {
    private static final int HEAP_SHARE = 64;
    private static final long LEAST_OF_POLL = 2 << 20;

    private final int most;
    private final long ofPoll;
    private final Beyond beyond;
    private long kept;

    /** What to do with a value for which the poll has no more room. */
    public enum Beyond {
        /**
         * The poll returns the record without its value, and the caller reads the value later. This is for a share
         * consumer, because it cannot leave a record for the next poll.
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
     * Returns a consumer whose polls need little memory: the values of one poll fit into a 64th of the heap, unless
     * the poll has only one record. So a dozen consumers can read at the same time. A fetch of compressed records may
     * expand to a thousand times its size.
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

    /** Begins a poll. No value of this poll is kept yet. */
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
