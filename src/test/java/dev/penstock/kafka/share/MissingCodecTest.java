package dev.penstock.kafka.share;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.kafka.share.lane.Acknowledgement;
import java.nio.ByteBuffer;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.record.internal.CompressionType;
import org.apache.kafka.common.record.internal.SimpleRecord;
import org.junit.jupiter.api.Test;

/** The library of a codec may be missing in one replica only. Kafka's classes report that with a KafkaException. */
class MissingCodecTest {
    @Test
    void a_batch_that_cannot_be_read_here_is_released_because_another_replica_may_read_it() {
        ByteBuffer batches = BatchReaderTest.batch(
                CompressionType.NONE,
                0,
                new SimpleRecord(1, null, new byte[1]),
                new SimpleRecord(1, null, new byte[1]),
                new SimpleRecord(1, null, new byte[1]));
        BatchReaderTest.Heard heard = new BatchReaderTest.Heard() {
            @Override
            public void read(ConsumerRecord<byte[], byte[]> record) {
                if (record.offset() == 1) {
                    throw new KafkaException(new UnsatisfiedLinkError("a codec"));
                }
                super.read(record);
            }
        };

        try (BatchReader reader = new BatchReader(1 << 20, 1 << 20)) {
            reader.read("jobs", 0, batches, BatchReaderTest.wanted(0, 2), heard);
        }

        assertThat(heard.offsets()).containsExactly(0L);
        assertThat(heard.unread).isEqualTo(Map.of(2L, Acknowledgement.RELEASE));
    }
}
