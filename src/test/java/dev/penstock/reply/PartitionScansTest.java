package dev.penstock.reply;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.JobId;
import dev.penstock.settings.read.TestSettings;
import dev.penstock.testkit.HostileBytes;
import dev.penstock.wire.record.EventHeaders;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.MockConsumer;
import org.apache.kafka.common.TopicPartition;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class PartitionScansTest {
    private static final String TOPIC = TestSettings.defaults().topics().replies();
    private static final TopicPartition PARTITION = new TopicPartition(TOPIC, 0);
    private static final byte[] KEY = EventHeaders.utf8("mine");

    private static MockConsumer<byte[], byte[]> log(List<ConsumerRecord<byte[], byte[]>> records) {
        MockConsumer<byte[], byte[]> log = new MockConsumer<>("earliest");
        log.updateBeginningOffsets(Map.of(PARTITION, 0L));
        log.updateEndOffsets(Map.of(PARTITION, (long) records.size()));
        log.schedulePollTask(() -> records.forEach(log::addRecord));
        return log;
    }

    /** A failure at a record must not repeat for ever: a new look-up would meet the same record again. */
    @Test
    void a_record_that_a_visitor_cannot_read_is_passed_over() throws Exception {
        List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();
        for (int offset = 0; offset < 5; offset++) {
            records.add(new ConsumerRecord<>(TOPIC, 0, offset, KEY, new byte[0]));
        }
        PartitionScans scans = new PartitionScans(_ -> log(records), 1 << 20, TOPIC);
        List<Long> seen = new ArrayList<>();
        List<Long> others = new ArrayList<>();

        CompletableFuture<Long> scanned = scans.scan(0, new PartitionScans.Start.Offset(0), KEY, record -> {
            if (record.offset() == 2) {
                throw new IllegalStateException("of the test");
            }
            seen.add(record.offset());
            return record.offset() < 3;
        });
        long next = scanned.get(20, TimeUnit.SECONDS);
        long end = scans.scan(0, new PartitionScans.Start.Offset(0), KEY, record -> others.add(record.offset()))
                .get(20, TimeUnit.SECONDS);

        assertThat(seen).containsExactly(0L, 1L, 3L);
        assertThat(next).isEqualTo(3);
        assertThat(others).hasSize(5);
        assertThat(end).isEqualTo(5);
        scans.close();
    }

    @Test
    void no_record_stops_a_watch_or_the_list_of_dead_letters() throws Exception {
        Random random = new Random(11);
        int events = 0;
        int letters = 0;
        for (int round = 0; round < 200; round++) {
            Watch watch = new Watch(new JobId("mine"), 0, ResumePoint.START, _ -> {});
            watch.endsWithRefusalOf(round % 2 == 0 ? null : Set.of());
            for (int offset = 0; offset < 50; offset++) {
                ConsumerRecord<byte[], byte[]> record = HostileBytes.record(TOPIC, 0, offset, random);
                if (offset == 25) {
                    watch.caughtUp(null);
                }
                if (offset < 25) {
                    var _ = watch.older(record);
                } else {
                    watch.live(record);
                }
                letters += DeadLetter.of(record).isPresent() ? 1 : 0;
                letters += DeadLetter.closes(record).isPresent() ? 1 : 0;
            }
            events += watch.next(Duration.ZERO) instanceof Watch.Next.Event ? 1 : 0;
            watch.close();
        }

        assertThat(events).isPositive();
        assertThat(letters).isPositive();
    }
}
