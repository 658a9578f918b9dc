package dev.penstock.reply;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.JobId;
import dev.penstock.kafka.KafkaClients;
import dev.penstock.settings.read.TestSettings;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.clients.consumer.MockConsumer;
import org.apache.kafka.clients.producer.MockProducer;
import org.apache.kafka.clients.producer.RoundRobinPartitioner;
import org.apache.kafka.common.Cluster;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The reader of the live end survives unexpected failures. */
@Timeout(60)
class LiveRepliesTest {
    private static final String TOPIC = TestSettings.defaults().topics().replies();
    private static final int MAX_RECORD = 1 << 20;

    @Test
    void a_watch_is_attached_although_the_reader_failed_unexpectedly_before() throws Exception {
        AtomicInteger made = new AtomicInteger();
        ReplyTopic topic = new ReplyTopic(TOPIC, producer(), MAX_RECORD, () -> MAX_RECORD);
        PartitionScans scans = new PartitionScans(new KafkaClients(Map.of(), MAX_RECORD), TestSettings.defaults());
        LiveReplies live = new LiveReplies(
                _ -> {
                    if (made.getAndIncrement() == 0) {
                        throw new IllegalStateException("of the test");
                    }
                    return consumer();
                },
                MAX_RECORD,
                topic,
                scans,
                WatchRoom.unshared());

        try (Watch watch = live.watchFresh(new JobId("j"))) {
            assertThat(watch.partition()).isZero();
        } finally {
            live.close();
            scans.close();
        }
        assertThat(made).hasValue(2);
    }

    private static MockProducer<byte[], byte[]> producer() {
        Node broker = new Node(0, "127.0.0.1", 1);
        PartitionInfo only = new PartitionInfo(TOPIC, 0, broker, new Node[] {broker}, new Node[] {broker});
        Cluster cluster = new Cluster("c", List.of(broker), List.of(only), Set.of(), Set.of());
        return new MockProducer<>(
                cluster, true, new RoundRobinPartitioner(), new ByteArraySerializer(), new ByteArraySerializer());
    }

    private static MockConsumer<byte[], byte[]> consumer() {
        MockConsumer<byte[], byte[]> consumer = new MockConsumer<>("earliest");
        consumer.updateEndOffsets(Map.of(new TopicPartition(TOPIC, 0), 5L));
        return consumer;
    }
}
