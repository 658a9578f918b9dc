package dev.penstock.cli.kafka;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.EventMark;
import dev.penstock.job.JobId;
import dev.penstock.testkit.HostileBytes;
import dev.penstock.wire.record.EventHeaders;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.MockConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.record.TimestampType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class ReplyFeedTest {
    private static final TopicPartition PARTITION = new TopicPartition("prompt-replies", 0);

    @Test
    @SuppressWarnings("NullAway") // called only if the broker fails
    void no_record_of_the_topic_stops_the_feed() throws Exception {
        List<ConsumerRecord<byte[], byte[]>> hostile = HostileBytes.records(PARTITION.topic(), 0, 8, 900);
        JobId job = new JobId("behind-them");
        ConsumerRecord<byte[], byte[]> good = new ConsumerRecord<>(
                PARTITION.topic(),
                0,
                900,
                0,
                TimestampType.CREATE_TIME,
                0,
                2,
                EventHeaders.utf8(job.value()),
                EventHeaders.utf8("{}"),
                EventHeaders.of(
                        EventHeaders.utf8(job.value()), new EventMark(EventMark.Kind.STARTED, 1, "run", 0), null),
                Optional.empty());
        MockConsumer<byte[], byte[]> log = new MockConsumer<>("earliest");
        log.assign(List.of(PARTITION));
        log.updateBeginningOffsets(Map.of(PARTITION, 0L));
        log.updateEndOffsets(Map.of(PARTITION, 901L));
        log.schedulePollTask(() -> {
            hostile.forEach(log::addRecord);
            log.addRecord(good);
        });

        try (ReplyFeed feed = new ReplyFeed(null, log, Map.of(PARTITION, 901L))) {
            BlockingQueue<ReplyFeed.Next> events = feed.subscribe(job);

            assertThat(events.poll(20, TimeUnit.SECONDS)).isInstanceOf(ReplyFeed.Next.Event.class);
        }
    }
}
