package dev.penstock.bench;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** A plain consumer of a topic, from its end on, that records when each record arrived. */
final class Arrivals implements AutoCloseable {
    private final KafkaConsumer<byte[], byte[]> consumer;
    private final Sink sink;
    private final Thread thread;
    private volatile boolean closed;

    /** Called by the consumer's thread only. */
    interface Sink {
        /** @param nanos the time by {@link System#nanoTime} */
        void arrived(ConsumerRecord<byte[], byte[]> record, long nanos);
    }

    private Arrivals(KafkaConsumer<byte[], byte[]> consumer, Sink sink, String topic) {
        this.consumer = consumer;
        this.sink = sink;
        thread = Thread.ofPlatform().daemon().name("arrivals-" + topic).unstarted(this::read);
    }

    /** Returns when every record from now on will be seen. */
    static Arrivals follow(String bootstrap, String topic, Sink sink) {
        KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(
                Map.of("bootstrap.servers", bootstrap, "enable.auto.commit", false, "max.poll.records", 5000),
                new ByteArrayDeserializer(),
                new ByteArrayDeserializer());
        List<TopicPartition> partitions = consumer.partitionsFor(topic).stream()
                .map(info -> new TopicPartition(topic, info.partition()))
                .toList();
        consumer.assign(partitions);
        consumer.seekToEnd(partitions);
        partitions.forEach(consumer::position);
        Arrivals arrivals = new Arrivals(consumer, sink, topic);
        arrivals.thread.start();
        return arrivals;
    }

    private void read() {
        while (!closed) {
            ConsumerRecords<byte[], byte[]> records = consumer.poll(Duration.ofMillis(100));
            long now = System.nanoTime();
            for (ConsumerRecord<byte[], byte[]> record : records) {
                sink.arrived(record, now);
            }
        }
        consumer.close();
    }

    @Override
    public void close() {
        closed = true;
        try {
            thread.join();
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
        }
    }
}
