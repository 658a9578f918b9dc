package dev.penstock.wire;

import java.nio.ByteBuffer;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.serialization.Deserializer;
import org.jspecify.annotations.Nullable;

/**
 * Values as bytes, up to a size. A larger one is null: the record's {@code serializedValueSize} says how large it was. A broker
 * measures what is compressed, so that 24 kB may be 300 MB; those are in memory once, while they are looked at, and not kept.
 *
 * @param most bytes
 */
public record BoundedValues(int most) implements Deserializer<byte[]> {
    @Override
    public byte @Nullable [] deserialize(String topic, byte @Nullable [] value) {
        return value == null || value.length > most ? null : value;
    }

    @Override
    public byte @Nullable [] deserialize(String topic, Headers headers, @Nullable ByteBuffer value) {
        if (value == null || value.remaining() > most) {
            return null;
        }
        byte[] bytes = new byte[value.remaining()];
        value.get(bytes);
        return bytes;
    }
}
