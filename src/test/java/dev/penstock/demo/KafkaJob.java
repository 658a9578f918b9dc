package dev.penstock.demo;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.PrintStream;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** The job over Kafka, with a plain producer and a plain consumer. */
final class KafkaJob {
    private static final String JOBS = "prompt-jobs";
    private static final String REPLIES = "prompt-replies";

    private KafkaJob() {}

    static Reply run(String bootstrap, String id, String document, PrintStream out, Duration patience)
            throws ExecutionException, InterruptedException, JsonProcessingException {
        Map<String, Object> settings = Map.of("bootstrap.servers", bootstrap);
        ObjectMapper json = new ObjectMapper();
        try (KafkaConsumer<String, String> consumer =
                        new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
                KafkaProducer<String, String> producer =
                        new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
            List<TopicPartition> partitions = consumer.partitionsFor(REPLIES).stream()
                    .map(partition -> new TopicPartition(REPLIES, partition.partition()))
                    .toList();
            consumer.assign(partitions);
            consumer.seekToEnd(partitions);
            partitions.forEach(consumer::position); // now, and not at the first poll
            producer.partitionsFor(JOBS);

            Reply reply = new Reply(out);
            producer.send(new ProducerRecord<>(JOBS, document)).get();
            long until = System.nanoTime() + patience.toNanos();
            while (!reply.isClosed() && System.nanoTime() < until) {
                for (ConsumerRecord<String, String> event : consumer.poll(Duration.ofMillis(100))) {
                    if (id.equals(event.key())) {
                        reply.take(json.readTree(event.value()));
                    }
                }
            }
            return reply;
        }
    }
}
