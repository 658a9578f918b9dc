package dev.penstock.kafka;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.MockConsumer;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class TopicTailTest {
    private static final String TOPIC = "prompt-tail";
    private static final TopicPartition FIRST = new TopicPartition(TOPIC, 0);
    private static final TopicPartition SECOND = new TopicPartition(TOPIC, 1);
    private static final TopicTail.Names NAMES = new TopicTail.Names("penstock-tail-test", "tail-test", "the test");

    /** The records that each read of the topic has seen, by partition and offset. */
    private final List<List<String>> reads = new CopyOnWriteArrayList<>();

    private final BlockingQueue<String> seen = new LinkedBlockingQueue<>();

    private final class Seen implements TopicTail.Reader {
        private final List<String> places = new CopyOnWriteArrayList<>();
        private boolean wasCaughtUp;

        Seen() {
            reads.add(places);
        }

        @Override
        public void read(ConsumerRecord<byte[], byte[]> record) {
            String place = record.partition() + "@" + record.offset();
            if (record.value().length == 0) {
                throw new IllegalStateException("of the test");
            }
            places.add(place);
            seen.add(place);
        }

        @Override
        public void polled(boolean caughtUp) {
            if (caughtUp && !wasCaughtUp) {
                wasCaughtUp = true;
                places.add("caught up");
            }
        }
    }

    private static ConsumerRecord<byte[], byte[]> record(TopicPartition partition, long offset, int bytes) {
        return new ConsumerRecord<>(TOPIC, partition.partition(), offset, null, new byte[bytes]);
    }

    private static MockConsumer<byte[], byte[]> log(TopicPartition... partitions) {
        MockConsumer<byte[], byte[]> log = new MockConsumer<>("earliest");
        log.updateBeginningOffsets(Map.of(FIRST, 0L, SECOND, 0L));
        log.updateEndOffsets(Map.of(FIRST, 2L, SECOND, 0L));
        exist(log, partitions);
        return log;
    }

    private static void exist(MockConsumer<byte[], byte[]> log, TopicPartition... partitions) {
        log.updatePartitions(
                TOPIC,
                Stream.of(partitions)
                        .map(partition -> new PartitionInfo(TOPIC, partition.partition(), null, null, null))
                        .toList());
    }

    private TopicTail tail(Supplier<Consumer<byte[], byte[]>> consumers) {
        return TopicTail.ofTopic(NAMES, consumers, TOPIC, Seen::new);
    }

    @Test
    void the_caller_waits_until_all_that_was_there_is_read() throws Exception {
        MockConsumer<byte[], byte[]> log = log(FIRST);
        log.schedulePollTask(() -> log.addRecord(record(FIRST, 0, 1)));
        log.schedulePollTask(() -> log.addRecord(record(FIRST, 1, 1)));
        try (TopicTail tail = tail(() -> log)) {
            assertThat(tail.isCaughtUp()).isFalse();

            tail.follow();

            assertThat(tail.isCaughtUp()).isTrue();
            assertThat(reads).containsExactly(List.of("0@0", "0@1", "caught up"));
        }
    }

    @Test
    void a_record_that_its_reader_cannot_take_is_skipped() throws Exception {
        MockConsumer<byte[], byte[]> log = log(FIRST);
        log.schedulePollTask(() -> {
            log.addRecord(record(FIRST, 0, 0));
            log.addRecord(record(FIRST, 1, 1));
        });
        try (TopicTail tail = tail(() -> log)) {
            tail.follow();
        }

        assertThat(reads).containsExactly(List.of("0@1", "caught up"));
    }

    @Test
    void after_an_outage_another_reader_gets_everything_from_the_beginning() throws Exception {
        List<MockConsumer<byte[], byte[]>> made = new ArrayList<>();
        try (TopicTail tail = tail(() -> {
            MockConsumer<byte[], byte[]> log = log(FIRST);
            made.add(log);
            log.schedulePollTask(() -> log.addRecord(record(FIRST, 0, 1)));
            log.schedulePollTask(() -> {
                if (made.size() == 1) {
                    throw new KafkaException("of the test");
                }
                log.addRecord(record(FIRST, 1, 1));
            });
            return log;
        })) {
            tail.follow();
        }

        assertThat(reads).containsExactly(List.of("0@0"), List.of("0@0", "0@1", "caught up"));
        assertThat(made.getFirst().closed()).isTrue();
    }

    @Test
    void a_partition_that_is_added_is_read_from_its_beginning() throws Exception {
        MockConsumer<byte[], byte[]> log = log(FIRST);
        log.schedulePollTask(() -> {
            log.addRecord(record(FIRST, 0, 1));
            log.addRecord(record(FIRST, 1, 1));
        });
        try (TopicTail tail = tail(() -> log)) {
            tail.follow();
            exist(log, FIRST, SECOND);
            // a task of a poll runs before its records are taken, so the partition is assigned by the second one
            log.schedulePollTask(() -> {});
            log.schedulePollTask(() -> log.addRecord(record(SECOND, 0, 1)));

            assertThat(List.of(next(), next(), next())).containsExactly("0@0", "0@1", "1@0");
        }
    }

    @Test
    void a_tail_of_one_partition_leaves_the_others() throws Exception {
        MockConsumer<byte[], byte[]> log = log(FIRST, SECOND);
        log.updateEndOffsets(Map.of(FIRST, 0L, SECOND, 7L));
        try (TopicTail tail = TopicTail.ofPartition(NAMES, () -> log, FIRST, Seen::new)) {
            tail.follow();

            assertThat(log.assignment()).containsExactly(FIRST);
        }
    }

    private String next() throws InterruptedException {
        return String.valueOf(seen.poll(20, TimeUnit.SECONDS));
    }
}
