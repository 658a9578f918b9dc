package dev.penstock.wire;

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
 * Values as bytes, up to a size, and of one poll only so many. A larger value is null: the record's {@code serializedValueSize}
 * says how large it was. A broker measures what is compressed, so that 24 kB may be 300 MB; those are in memory once, while
 * they are looked at, and not kept. A fetch of some kB may be 500 records of 8 MiB: those of one poll are not kept together. For
 * one consumer, on its thread.
 */
public final class BoundedValues implements Deserializer<byte[]> {
    private static final int HEAP_SHARE = 64;
    private static final long LEAST_OF_POLL = 2 << 20;

    private final int most;
    private final long ofPoll;
    private final Beyond beyond;
    private long kept;

    /** What becomes of a value for which a poll has no more room. */
    public enum Beyond {
        /** The record comes without it, and its reader reads it again. For a share consumer, which cannot take a record later. */
        LEFT,
        /** The poll ends before the record, and the next one begins with it. A poll keeps at least one. */
        NEXT_POLL
    }

    /** Ends a poll; the consumer (4.3.1) tries the record again at the next one. */
    static final class NextPoll extends SerializationException {
        NextPoll() {
            super("the poll has enough");
        }
    }

    /**
     * @param most bytes of one value
     * @param ofPoll bytes of all values of one poll
     */
    public BoundedValues(int most, long ofPoll, Beyond beyond) {
        this.most = most;
        this.ofPoll = ofPoll;
        this.beyond = beyond;
    }

    /**
     * A consumer whose polls each bring at most a 64th of the heap and one record into memory: a dozen of them may read at once.
     * A fetch of compressed records may hold a thousand times its size.
     *
     * @param keys of the consumer, with those of the user
     * @param most bytes of one value; a larger one is not kept
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
