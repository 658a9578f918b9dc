package dev.penstock.reply;

import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.MockConsumer;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.producer.MockProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.record.TimestampType;

/** Reads back the records that a test's producer wrote to the single partition of a reply topic. */
public final class PlayedRecovery {
    private PlayedRecovery() {}

    public static Recovery of(ReplyTopic topic, MockProducer<byte[], byte[]> written) {
        TopicPartition partition = new TopicPartition(topic.name(), 0);
        return new Recovery(
                new PartitionScans(_ -> consumer(partition, List.copyOf(written.history())), 1 << 20, topic.name()),
                topic);
    }

    /** Returns a recovery whose broker answers nothing. */
    public static Recovery failing(ReplyTopic topic) {
        return new Recovery(
                new PartitionScans(
                        _ -> {
                            throw new KafkaException("of the test");
                        },
                        1 << 20,
                        topic.name()),
                topic);
    }

    private static MockConsumer<byte[], byte[]> consumer(
            TopicPartition partition, List<ProducerRecord<byte[], byte[]>> events) {
        MockConsumer<byte[], byte[]> log = new MockConsumer<>("earliest") {
            @Override
            public synchronized Map<TopicPartition, OffsetAndTimestamp> offsetsForTimes(
                    Map<TopicPartition, Long> asked) {
                Map<TopicPartition, OffsetAndTimestamp> from = new HashMap<>();
                asked.forEach((place, millis) -> from.put(place, new OffsetAndTimestamp(0, millis)));
                return from;
            }
        };
        log.updateBeginningOffsets(Map.of(partition, 0L));
        log.updateEndOffsets(Map.of(partition, (long) events.size()));
        log.schedulePollTask(() -> {
            for (int offset = 0; offset < events.size(); offset++) {
                ProducerRecord<byte[], byte[]> event = events.get(offset);
                log.addRecord(new ConsumerRecord<>(
                        partition.topic(),
                        partition.partition(),
                        offset,
                        Instant.now().toEpochMilli(),
                        TimestampType.LOG_APPEND_TIME,
                        event.key().length,
                        event.value().length,
                        event.key(),
                        event.value(),
                        event.headers(),
                        Optional.empty()));
            }
        });
        return log;
    }
}
