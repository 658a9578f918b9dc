package dev.penstock.wire;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.micrometer.core.instrument.Metrics;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.MockConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.WakeupException;
import org.junit.jupiter.api.Test;

class RecordGuardTest {
    private static final TopicPartition PARTITION = new TopicPartition("t", 0);

    @Test
    void a_record_whose_reading_throws_is_counted_and_shown_and_stops_nothing() {
        SimpleMeterRegistry meters = new SimpleMeterRegistry();
        Metrics.addRegistry(meters);
        try {
            MockConsumer<byte[], byte[]> log = new MockConsumer<>("earliest");
            log.updateBeginningOffsets(Map.of(PARTITION, 0L));
            log.updateEndOffsets(Map.of(PARTITION, 4L));
            log.schedulePollTask(() -> {
                for (int offset = 0; offset < 4; offset++) {
                    log.addRecord(record(offset));
                }
            });
            List<Long> read = new ArrayList<>();

            LogRange.read("guard-test", log, PARTITION, record -> {
                switch ((int) record.offset()) {
                    case 1 -> throw new IllegalStateException("with the words of a prompt");
                    case 2 -> throw new StackOverflowError();
                    default -> read.add(record.offset());
                }
            });

            assertThat(read).containsExactly(0L, 3L);
            assertThat(meters.get("penstock.records.unreadable")
                            .tag("reader", "guard-test")
                            .counter()
                            .count())
                    .isEqualTo(2);
            assertThat(RecordGuard.warnings().get("guard-test"))
                    .contains("2 records", "record=t-0@2", "StackOverflowError")
                    .doesNotContain("prompt");
        } finally {
            Metrics.removeRegistry(meters);
        }
    }

    @Test
    void what_ends_the_reader_itself_is_passed_on() {
        RecordGuard guard = RecordGuard.of("guard-test-ends");

        assertThatThrownBy(() -> guard.read(record(0), () -> {
                    throw new WakeupException();
                }))
                .isInstanceOf(WakeupException.class);
        assertThatThrownBy(() -> guard.read(record(0), () -> {
                    throw new InterruptedException();
                }))
                .isInstanceOf(InterruptedException.class);
        assertThatThrownBy(() -> guard.read(record(0), () -> {
                    throw new OutOfMemoryError("of the test");
                }))
                .isInstanceOf(OutOfMemoryError.class);
        assertThat(RecordGuard.warnings()).doesNotContainKey("guard-test-ends");
    }

    private static ConsumerRecord<byte[], byte[]> record(long offset) {
        return new ConsumerRecord<>("t", 0, offset, new byte[0], new byte[0]);
    }
}
