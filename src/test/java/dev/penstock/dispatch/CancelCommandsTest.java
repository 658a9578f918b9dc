package dev.penstock.dispatch;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.JobId;
import dev.penstock.testkit.HostileBytes;
import dev.penstock.wire.document.CommandDocument;
import java.time.Clock;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.MockConsumer;
import org.apache.kafka.clients.producer.MockProducer;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.record.TimestampType;
import org.junit.jupiter.api.Test;

class CancelCommandsTest {
    private static final String TOPIC = "prompt-commands";
    private static final TopicPartition FIRST = new TopicPartition(TOPIC, 0);
    private static final TopicPartition SECOND = new TopicPartition(TOPIC, 1);

    private final BlockingQueue<JobId> heard = new LinkedBlockingQueue<>();

    private static CancelCommands reading(java.util.function.Supplier<Consumer<byte[], byte[]>> consumers) {
        return new CancelCommands(consumers, new MockProducer<>(), TOPIC, Clock.systemUTC());
    }

    /** Its first partition holds these commands. */
    private static MockConsumer<byte[], byte[]> consumer(JobId... jobs) {
        MockConsumer<byte[], byte[]> consumer = new MockConsumer<>("earliest");
        partitions(consumer, FIRST);
        consumer.updateBeginningOffsets(Map.of(FIRST, 0L, SECOND, 0L));
        consumer.updateEndOffsets(Map.of(FIRST, (long) jobs.length, SECOND, 0L));
        consumer.schedulePollTask(() -> {
            for (int offset = 0; offset < jobs.length; offset++) {
                consumer.addRecord(command(FIRST, offset, jobs[offset]));
            }
        });
        return consumer;
    }

    private static void partitions(MockConsumer<byte[], byte[]> consumer, TopicPartition... partitions) {
        consumer.updatePartitions(
                TOPIC,
                List.of(partitions).stream()
                        .map(partition -> new PartitionInfo(TOPIC, partition.partition(), null, null, null))
                        .toList());
    }

    private static ConsumerRecord<byte[], byte[]> command(TopicPartition partition, long offset, JobId job) {
        byte[] value = CommandDocument.cancel(job);
        return new ConsumerRecord<>(
                TOPIC,
                partition.partition(),
                offset,
                System.currentTimeMillis(),
                TimestampType.CREATE_TIME,
                0,
                value.length,
                new byte[0],
                value,
                new RecordHeaders(),
                Optional.empty());
    }

    private JobId next() throws InterruptedException {
        return heard.poll(20, TimeUnit.SECONDS);
    }

    @Test
    void an_unexpected_exception_of_the_reader_does_not_end_it() throws Exception {
        AtomicInteger made = new AtomicInteger();
        JobId job = new JobId("job-1");
        CancelCommands commands = reading(() -> {
            if (made.incrementAndGet() == 1) {
                throw new IllegalStateException("an unexpected exception");
            }
            return consumer(job);
        });

        commands.follow(heard::add);

        assertThat(next()).isEqualTo(job);
        assertThat(commands.isCancelled(job)).isTrue();
        assertThat(made).hasValue(2);
        commands.close();
    }

    @Test
    void a_command_that_cannot_be_obeyed_holds_up_none_of_the_others() throws Exception {
        JobId bad = new JobId("bad");
        JobId good = new JobId("good");
        CancelCommands commands = reading(() -> consumer(bad, good));

        commands.follow(job -> {
            if (job.equals(bad)) {
                throw new IllegalStateException("an unexpected exception");
            }
            heard.add(job);
        });

        assertThat(next()).isEqualTo(good);
        assertThat(commands.isCancelled(bad)).isTrue();
        commands.close();
    }

    @Test
    void no_record_of_its_topic_stops_the_reader() throws Exception {
        List<ConsumerRecord<byte[], byte[]>> hostile = HostileBytes.records(TOPIC, 0, 5, 1_000);
        JobId good = new JobId("behind-them");
        MockConsumer<byte[], byte[]> consumer = consumer();
        consumer.updateEndOffsets(Map.of(FIRST, 1_001L, SECOND, 0L));
        consumer.schedulePollTask(() -> {
            hostile.forEach(consumer::addRecord);
            consumer.addRecord(command(FIRST, 1_000, good));
        });
        AtomicInteger made = new AtomicInteger();
        CancelCommands commands = reading(() -> {
            made.incrementAndGet();
            return consumer;
        });

        commands.follow(heard::add);

        assertThat(commands.isCancelled(good)).isTrue();
        assertThat(made).hasValue(1);
        commands.close();
    }

    @Test
    void commands_in_a_partition_that_was_added_are_read() throws Exception {
        JobId before = new JobId("before");
        JobId after = new JobId("after");
        MockConsumer<byte[], byte[]> consumer = consumer(before);
        CancelCommands commands = reading(() -> consumer);
        commands.follow(heard::add);
        assertThat(next()).isEqualTo(before);

        partitions(consumer, FIRST, SECOND);
        // whichever poll comes first: a task of a poll runs before its records are taken
        consumer.schedulePollTask(() -> {});
        consumer.schedulePollTask(() -> consumer.addRecord(command(SECOND, 0, after)));

        assertThat(next()).isEqualTo(after);
        commands.close();
    }
}
