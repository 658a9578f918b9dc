package dev.penstock.wire;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.ByteBuffer;
import java.util.Optional;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.record.TimestampType;
import org.junit.jupiter.api.Test;

class BoundedValuesTest {
    private static final int MAX_RECORD = 1_000;

    @Test
    void a_value_beyond_the_bound_is_not_kept_and_its_record_is_too_large() {
        BoundedValues values = new BoundedValues(4);

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
