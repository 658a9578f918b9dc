package dev.penstock.reply;

import dev.penstock.settings.KafkaSettings;
import dev.penstock.settings.Settings;
import jakarta.annotation.PreDestroy;
import jakarta.inject.Singleton;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.Consumer;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.common.TopicPartition;

/**
 * Reads of a reply partition from somewhere in the past up to its end, for jobs delivered again and for watchers that
 * come late. One read of a partition serves all that wait for it; at most four run at once. Keys are compared as bytes
 * before anything is parsed.
 */
@Singleton
public class PartitionScans {
    private static final int AT_ONCE = 4;
    /** The broker's clock stamps job records, a worker's clock its events. */
    private static final Duration CLOCK_SKEW = Duration.ofMinutes(1);

    private final KafkaSettings kafka;
    private final String topic;
    private final ExecutorService readers = Executors.newFixedThreadPool(
            AT_ONCE, Thread.ofPlatform().daemon().name("penstock-scan-", 0).factory());
    /** Guarded by itself; an entry: a read of that partition runs, and these wait for the next. */
    private final Map<Integer, List<Request>> waiting = new HashMap<>();

    public PartitionScans(KafkaSettings kafka, Settings settings) {
        this.kafka = kafka;
        topic = settings.topics().replies();
    }

    /** Where a scan begins. */
    public sealed interface Start {
        /** At the first event that a record of that time can have. */
        record At(Instant time) implements Start {}

        record Offset(long offset) implements Start {}
    }

    private record Request(
            Start start,
            ByteBuffer key,
            Consumer<ConsumerRecord<byte[], byte[]>> visitor,
            CompletableFuture<Long> scanned) {}

    /**
     * Shows every record with this key, from the start up to the end that the partition has after this call.
     *
     * @param visitor called on a thread of this class, in order
     * @return that end: the offset of the first record not shown
     */
    public CompletableFuture<Long> scan(
            int partition, Start start, byte[] key, Consumer<ConsumerRecord<byte[], byte[]>> visitor) {
        Request request = new Request(start, ByteBuffer.wrap(key), visitor, new CompletableFuture<>());
        synchronized (waiting) {
            List<Request> others = waiting.get(partition);
            if (others == null) {
                waiting.put(partition, new ArrayList<>(List.of(request)));
                readers.execute(() -> read(partition));
            } else {
                others.add(request);
            }
        }
        return request.scanned();
    }

    private void read(int partition) {
        while (true) {
            List<Request> requests;
            synchronized (waiting) {
                requests = waiting.getOrDefault(partition, List.of());
                if (requests.isEmpty()) {
                    waiting.remove(partition);
                    return;
                }
                waiting.put(partition, new ArrayList<>());
            }
            try {
                long end = read(new TopicPartition(topic, partition), requests);
                requests.forEach(request -> request.scanned().complete(end));
            } catch (RuntimeException e) {
                requests.forEach(request -> request.scanned().completeExceptionally(e));
            }
        }
    }

    private long read(TopicPartition partition, List<Request> requests) {
        Map<String, Object> properties = Map.of(
                ConsumerConfig.DEFAULT_API_TIMEOUT_MS_CONFIG,
                10_000,
                ConsumerConfig.MAX_POLL_RECORDS_CONFIG,
                5_000,
                ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG,
                kafka.maxRecord() + 65_536);
        try (KafkaConsumer<byte[], byte[]> consumer = kafka.reader("penstock-scan", properties)) {
            consumer.assign(List.of(partition));
            long end = consumer.endOffsets(List.of(partition)).getOrDefault(partition, 0L);
            Map<ByteBuffer, List<Placed>> byKey = new HashMap<>();
            long from = end;
            for (Request request : requests) {
                long offset = offset(consumer, partition, request.start(), end);
                from = Math.min(from, offset);
                byKey.computeIfAbsent(request.key(), _ -> new ArrayList<>()).add(new Placed(request, offset));
            }
            if (from >= end) {
                return end;
            }
            consumer.seek(partition, from);
            while (consumer.position(partition) < end) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(500))) {
                    if (record.key() != null && record.offset() < end) {
                        byKey.getOrDefault(ByteBuffer.wrap(record.key()), List.of())
                                .forEach(placed -> placed.show(record));
                    }
                }
            }
            return end;
        }
    }

    private record Placed(Request request, long offset) {
        void show(ConsumerRecord<byte[], byte[]> record) {
            if (record.offset() >= offset) {
                request.visitor().accept(record);
            }
        }
    }

    private static long offset(KafkaConsumer<?, ?> consumer, TopicPartition partition, Start start, long end) {
        return switch (start) {
            case Start.Offset(long offset) -> offset;
            case Start.At(Instant time) -> {
                long millis = Math.max(0, time.minus(CLOCK_SKEW).toEpochMilli());
                OffsetAndTimestamp found =
                        consumer.offsetsForTimes(Map.of(partition, millis)).get(partition);
                yield found == null ? end : found.offset();
            }
        };
    }

    @PreDestroy
    void close() {
        readers.shutdownNow();
    }
}
