package dev.penstock.testkit;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.jspecify.annotations.Nullable;

/** A plain producer of jobs, like the one in a user's service. */
public final class JobSender implements AutoCloseable {
    private final String topic;
    private final KafkaProducer<byte[], byte[]> producer;
    private final List<Future<RecordMetadata>> sent = new ArrayList<>();

    public JobSender(String bootstrap) {
        this(bootstrap, "prompt-jobs", Map.of());
    }

    public JobSender(String bootstrap, String topic, Map<String, Object> more) {
        this.topic = topic;
        Map<String, Object> settings =
                new HashMap<>(Map.of("bootstrap.servers", bootstrap, "max.request.size", 8_500_000));
        settings.putAll(more);
        producer = new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer());
    }

    /** Returns the document of a chat job with one message for the fake upstream. */
    public static String chat(String id, String prompt) {
        return "{\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}],\"job\":{\"id\":\"%s\"}}".formatted(prompt, id);
    }

    /** Sends a chat job without a key, so that the producer's own partitioner decides. */
    public void send(String id, String prompt) {
        sendRaw(null, chat(id, prompt).getBytes(StandardCharsets.UTF_8));
    }

    public void sendRaw(@Nullable Integer partition, byte @Nullable [] value) {
        sent.add(producer.send(new ProducerRecord<>(topic, partition, null, value)));
    }

    public void send(ProducerRecord<byte[], byte[]> record) {
        sent.add(producer.send(record));
    }

    /** Waits until everything is on the broker. */
    public List<RecordMetadata> flush() throws InterruptedException {
        producer.flush();
        List<RecordMetadata> places = new ArrayList<>();
        for (Future<RecordMetadata> future : sent) {
            try {
                places.add(future.get());
            } catch (ExecutionException e) {
                throw new IllegalStateException(e.getCause());
            }
        }
        sent.clear();
        return places;
    }

    @Override
    public void close() {
        producer.close();
    }
}
