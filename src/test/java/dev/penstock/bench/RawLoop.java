package dev.penstock.bench;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.io.OutputStream;
import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.Semaphore;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.jspecify.annotations.Nullable;

/**
 * A well-written loop without Penstock. It polls a batch, calls the model server for each record on a virtual thread,
 * writes what its {@link RawWriter} writes, and acknowledges. It has no recovery, no lock renewal, no retries and no
 * priorities.
 */
public final class RawLoop implements Runnable {
    static final int CONSUMERS = 8;
    static final int BATCH = 64;
    private static final ObjectMapper JSON = JsonMapper.builder().build();

    private final KafkaShareConsumer<byte[], byte[]> consumer;
    private final RawWriter writer;
    private final StreamedCall model;
    private final Semaphore slots;

    private RawLoop(
            KafkaShareConsumer<byte[], byte[]> consumer, RawWriter writer, StreamedCall model, Semaphore slots) {
        this.consumer = consumer;
        this.writer = writer;
        this.model = model;
        this.slots = slots;
    }

    @Override
    public void run() {
        try {
            while (true) {
                ConsumerRecords<byte[], byte[]> records = consumer.poll(Duration.ofMillis(500));
                List<CompletableFuture<@Nullable Void>> running = new ArrayList<>();
                for (ConsumerRecord<byte[], byte[]> record : records) {
                    CompletableFuture<@Nullable Void> done = new CompletableFuture<>();
                    running.add(done);
                    Thread.ofVirtual().start(() -> handle(record, done));
                }
                int i = 0;
                for (ConsumerRecord<byte[], byte[]> record : records) {
                    consumer.acknowledge(record, outcome(running.get(i++)));
                }
            }
        } catch (RuntimeException e) {
            System.err.println("a consumer has ended: " + e);
        }
    }

    private static AcknowledgeType outcome(CompletableFuture<@Nullable Void> done) {
        try {
            done.join();
            return AcknowledgeType.ACCEPT;
        } catch (CompletionException e) {
            System.err.println("a record goes back: " + e.getCause());
            return AcknowledgeType.RELEASE;
        }
    }

    private void handle(ConsumerRecord<byte[], byte[]> record, CompletableFuture<@Nullable Void> done) {
        try {
            String id = JSON.readTree(record.value()).path("job").path("id").asText();
            slots.acquire();
            try {
                RawWriter.Job job = writer.begin(id, record);
                String text = model.ask(StreamedCall.request(record.value()), () -> {})
                        .join();
                job.answered(text, (RecordMetadata _, @Nullable Exception failure) -> {
                    if (failure == null) {
                        done.complete(null);
                    } else {
                        done.completeExceptionally(failure);
                    }
                });
            } finally {
                slots.release();
            }
        } catch (IOException | RuntimeException e) {
            done.completeExceptionally(e);
        } catch (InterruptedException e) {
            done.completeExceptionally(e);
            Thread.currentThread().interrupt();
        }
    }

    /** Prints {@code ready}; ends when its standard input ends. The last argument is {@code record} or {@code events}. */
    public static void main(String... args) throws IOException {
        String bootstrap = args[0];
        String jobs = args[1];
        String group = args[3];
        int concurrency = Integer.parseInt(args[5]);
        String kind = args[6];
        KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(
                Map.of("bootstrap.servers", bootstrap, "acks", "all", "linger.ms", 0, "compression.type", "lz4"),
                new ByteArraySerializer(),
                new ByteArraySerializer());
        RawWriter writer = RawWriter.of(kind, producer, args[2]);
        StreamedCall model = new StreamedCall(URI.create(args[4]), concurrency);
        Semaphore slots = new Semaphore(concurrency, true);
        for (int i = 0; i < CONSUMERS; i++) {
            KafkaShareConsumer<byte[], byte[]> consumer = new KafkaShareConsumer<>(
                    Map.of(
                            "bootstrap.servers",
                            bootstrap,
                            "group.id",
                            group,
                            "share.acknowledgement.mode",
                            "explicit",
                            "max.poll.records",
                            BATCH),
                    new ByteArrayDeserializer(),
                    new ByteArrayDeserializer());
            consumer.setAcknowledgementCommitCallback((offsets, failure) -> {
                if (failure != null) {
                    System.err.println("not acknowledged: " + offsets + ": " + failure);
                }
            });
            consumer.subscribe(List.of(jobs));
            Thread.ofPlatform().daemon().name("raw-" + i).start(new RawLoop(consumer, writer, model, slots));
        }
        System.out.println("ready " + CONSUMERS + "x" + BATCH);
        System.in.transferTo(OutputStream.nullOutputStream());
        System.exit(0);
    }
}
