package dev.penstock.kafka;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.penstock.wire.record.RecordSize;
import java.nio.ByteBuffer;
import java.util.Optional;
import java.util.stream.Stream;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.errors.SerializationException;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.record.TimestampType;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

class BoundedValuesTest {
    private static final int MAX_RECORD = 1_000;

    @Test
    void a_value_beyond_the_bound_is_not_kept_and_its_record_is_too_large() {
        BoundedValues values = new BoundedValues(4, 100, BoundedValues.Beyond.LEFT);

        assertThat(values.deserialize("t", new RecordHeaders(), ByteBuffer.wrap(new byte[] {1, 2, 3, 4})))
                .containsExactly(1, 2, 3, 4);
        assertThat(values.deserialize("t", new RecordHeaders(), ByteBuffer.wrap(new byte[5])))
                .isNull();
        assertThat(RecordSize.tooLarge(record(300_000_000), MAX_RECORD))
                .contains("the job has 300000000 bytes, the limit is 1000 (penstock.kafka.max-record)");
        assertThat(RecordSize.tooLarge(record(-1), MAX_RECORD))
                .as("a record without a value")
                .isEmpty();
    }

    @Test
    void of_one_poll_no_more_is_kept_than_there_is_room_for() {
        BoundedValues left = new BoundedValues(100, 10, BoundedValues.Beyond.LEFT);
        BoundedValues later = new BoundedValues(100, 10, BoundedValues.Beyond.NEXT_POLL);

        assertThat(Stream.of(4, 7, 6, 1, 20).map(bytes -> read(left, bytes) != null))
                .containsExactly(true, false, true, false, false);
        left.begin();
        assertThat(read(left, 10)).hasSize(10);

        assertThat(read(later, 4)).hasSize(4);
        assertThatThrownBy(() -> read(later, 7)).isInstanceOf(SerializationException.class);
        later.begin();
        assertThat(read(later, 7)).hasSize(7);
        later.begin();
        assertThat(read(later, 20)).as("a poll has one at least").hasSize(20);
        assertThat(read(later, 101)).as("and what is too large none waits for").isNull();
        assertThatThrownBy(() -> read(later, 1)).isInstanceOf(SerializationException.class);
    }

    private static byte @Nullable [] read(BoundedValues values, int bytes) {
        return values.deserialize("t", new RecordHeaders(), ByteBuffer.wrap(new byte[bytes]));
    }

    private static ConsumerRecord<byte[], byte[]> record(int serialized) {
        return new ConsumerRecord<>(
                "t",
                0,
                7,
                0,
                TimestampType.CREATE_TIME,
                0,
                serialized,
                new byte[0],
                null,
                new RecordHeaders(),
                Optional.empty());
    }
}
