package dev.penstock.settings.topic;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.testkit.HostileBytes;
import dev.penstock.wire.Json;
import dev.penstock.wire.record.SettingsVersion;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.MockConsumer;
import org.apache.kafka.common.TopicPartition;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class SettingsFeedTest {
    private static final TopicPartition PARTITION = new TopicPartition("prompt-settings", 0);

    @Test
    void no_record_of_its_topic_stops_the_feed() throws Exception {
        List<ConsumerRecord<byte[], byte[]>> hostile = HostileBytes.records(PARTITION.topic(), 0, 3, 500);
        SettingsVersion before = SettingsVersion.start();
        for (ConsumerRecord<byte[], byte[]> record : hostile) {
            before = before.after(record.offset(), record.value());
        }
        byte[] next = before.next(
                before.withNode("good", Json.mapper().createObjectNode().put("backend", "vllm")));
        MockConsumer<byte[], byte[]> log = new MockConsumer<>("earliest");
        log.updateBeginningOffsets(Map.of(PARTITION, 0L));
        log.updateEndOffsets(Map.of(PARTITION, 501L));
        log.schedulePollTask(() -> {
            hostile.forEach(log::addRecord);
            log.addRecord(new ConsumerRecord<>(PARTITION.topic(), 0, 500, null, next));
        });
        AtomicInteger made = new AtomicInteger();
        SettingsFeed feed = new SettingsFeed(
                () -> {
                    made.incrementAndGet();
                    return log;
                },
                PARTITION.topic());

        feed.follow();

        assertThat(feed.number()).isEqualTo(500);
        assertThat(made).hasValue(1);
        feed.close();
    }
}
