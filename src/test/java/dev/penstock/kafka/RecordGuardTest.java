package dev.penstock.kafka;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.micrometer.core.instrument.Metrics;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.LongStream;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.MockConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RecordDeserializationException;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.record.TimestampType;
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

    /** The reader must not start again before the damaged batch for ever. */
    @Test
    void a_batch_that_is_damaged_is_passed_over_and_no_record_around_it_is_lost() {
        for (boolean saysBase : List.of(true, false)) {
            String reader = "guard-test-batch-" + saysBase;
            DamagedLog log = new DamagedLog(saysBase);
            log.partition(PARTITION, 100_000);
            log.damage(PARTITION, 0, 1);
            log.damage(PARTITION, 37, 60_000);
            // without its first offset a batch cannot be distinguished from the next one
            log.damage(PARTITION, saysBase ? 60_001 : 60_000, 60_010);
            log.damage(PARTITION, 99_990, 100_000);
            SimpleMeterRegistry meters = new SimpleMeterRegistry();
            Metrics.addRegistry(meters);
            List<Long> read = new ArrayList<>();
            try {
                LogRange.read(reader, log, PARTITION, record -> read.add(record.offset()));

                assertThat(read)
                        .containsExactlyElementsOf(LongStream.concat(
                                        LongStream.range(1, 37),
                                        LongStream.concat(
                                                LongStream.range(60_000, saysBase ? 60_001 : 60_000),
                                                LongStream.range(60_010, 99_990)))
                                .boxed()
                                .toList());
                assertThat(log.polls()).as("4,000 for the others").isLessThan(4_200);
                assertThat(RecordGuard.warnings().get(reader)).contains("records=t-0@99990 to 99999: KafkaException");
                int unreadable = 1 + 59_963 + (saysBase ? 9 : 10) + 10;
                assertThat(meters.get("penstock.records.unreadable")
                                .tag("reader", reader)
                                .counter()
                                .count())
                        .isEqualTo(unreadable);

                LogRange.read(reader, log, PARTITION, _ -> {});
                assertThat(RecordGuard.warnings().get(reader))
                        .as("each is told once")
                        .startsWith(unreadable + " records");
            } finally {
                Metrics.removeRegistry(meters);
            }
        }
    }

    @Test
    void while_a_batch_is_passed_over_other_partitions_stay_as_they_are() {
        TopicPartition other = new TopicPartition("t", 1);
        TopicPartition paused = new TopicPartition("t", 2);
        DamagedLog log = new DamagedLog(true);
        log.partition(PARTITION, 50);
        log.partition(other, 30);
        log.partition(paused, 30);
        log.damage(PARTITION, 10, 20);
        log.assign(List.of(PARTITION, other, paused));
        log.pause(List.of(paused));
        RecordGuard guard = RecordGuard.of("guard-test-others");
        Map<Integer, List<Long>> read = new HashMap<>();
        Map<TopicPartition, Long> next = new HashMap<>();

        for (int i = 0; i < 20; i++) {
            ConsumerRecords<byte[], byte[]> records = guard.poll(log, Duration.ZERO);
            records.forEach(record -> read.computeIfAbsent(record.partition(), _ -> new ArrayList<>())
                    .add(record.offset()));
            records.nextOffsets().forEach((partition, offset) -> next.put(partition, offset.offset()));
        }

        assertThat(read.get(0)).hasSize(40).doesNotHaveDuplicates();
        assertThat(read.get(1)).hasSize(30).doesNotHaveDuplicates();
        assertThat(read).doesNotContainKey(2);
        assertThat(log.paused()).containsExactly(paused);
        assertThat(next).containsEntry(PARTITION, 50L).containsEntry(other, 30L);
    }

    @Test
    void a_search_that_is_woken_leaves_nothing_out() {
        AtomicBoolean woken = new AtomicBoolean();
        DamagedLog log = new DamagedLog(true) {
            @Override
            public synchronized ConsumerRecords<byte[], byte[]> poll(Duration timeout) {
                if (polls() == 4 && woken.compareAndSet(false, true)) {
                    throw new WakeupException();
                }
                return super.poll(timeout);
            }
        };
        log.partition(PARTITION, 50);
        log.damage(PARTITION, 0, 20);
        log.assign(List.of(PARTITION));
        RecordGuard guard = RecordGuard.of("guard-test-woken");

        assertThatThrownBy(() -> guard.poll(log, Duration.ZERO)).isInstanceOf(WakeupException.class);
        assertThat(log.position(PARTITION)).isZero();
        assertThat(guard.poll(log, Duration.ZERO).nextOffsets()).containsEntry(PARTITION, new OffsetAndMetadata(20));
    }

    @Test
    void a_record_that_cannot_be_deserialized_is_passed_over_alone() {
        MockConsumer<byte[], byte[]> log = new MockConsumer<>("earliest");
        log.assign(List.of(PARTITION));
        log.seek(PARTITION, 7);
        log.setPollException(new RecordDeserializationException(
                RecordDeserializationException.DeserializationExceptionOrigin.VALUE,
                PARTITION,
                7,
                0,
                TimestampType.CREATE_TIME,
                null,
                null,
                new RecordHeaders(),
                "of the test",
                null));

        RecordGuard guard = RecordGuard.of("guard-test-record");
        assertThat(guard.poll(log, Duration.ZERO).nextOffsets()).containsEntry(PARTITION, new OffsetAndMetadata(8));
        assertThat(log.position(PARTITION)).isEqualTo(8);
        assertThat(RecordGuard.warnings().get("guard-test-record")).contains("record=t-0@7");

        log.setPollException(new KafkaException("of something else"));
        assertThatThrownBy(() -> guard.poll(log, Duration.ZERO)).hasMessage("of something else");
    }

    private static ConsumerRecord<byte[], byte[]> record(long offset) {
        return new ConsumerRecord<>("t", 0, offset, new byte[0], new byte[0]);
    }
}
