package dev.penstock.reply;

import dev.penstock.kafka.KafkaClients;
import dev.penstock.kafka.RecordGuard;
import dev.penstock.settings.Settings;
import dev.penstock.thread.RequestBatcher;
import jakarta.annotation.PreDestroy;
import jakarta.inject.Inject;
import jakarta.inject.Singleton;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Function;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.common.TopicPartition;
import org.jboss.logging.Logger;

/**
 * Reads a reply partition from a past point to its end, for redelivered jobs and for late watchers. One read of a
 * partition serves all callers that wait for it. At most four reads run at once. The scan compares keys as bytes and
 * parses only matching records.
 */
@Singleton
public class PartitionScans {
    private static final Logger LOG = Logger.getLogger(PartitionScans.class);
    private static final RecordGuard GUARD = RecordGuard.of("scan");
    private static final int AT_ONCE = 4;
    /**
     * The largest expected difference between the broker's clock, which stamps job records, and a replica's clock,
     * which stamps events.
     */
    private static final Duration CLOCK_SKEW = Duration.ofMinutes(1);

    private final Function<Map<String, Object>, Consumer<byte[], byte[]>> consumers;
    private final int maxRecord;
    private final String topic;
    /** The threads that read. The executor replaces a thread that ends with an error. */
    private final ExecutorService readers = Executors.newFixedThreadPool(
            AT_ONCE, Thread.ofPlatform().daemon().name("penstock-scan-", 0).factory());

    private final Map<Integer, RequestBatcher<Request, Long>> partitions = new ConcurrentHashMap<>();

    @Inject
    public PartitionScans(KafkaClients kafka, Settings settings) {
        this(
                properties -> kafka.reader("penstock-scan", properties),
                kafka.maxRecord(),
                settings.topics().replies());
    }

    /** @param consumers creates a consumer with the given properties */
    PartitionScans(Function<Map<String, Object>, Consumer<byte[], byte[]>> consumers, int maxRecord, String topic) {
        this.consumers = consumers;
        this.maxRecord = maxRecord;
        this.topic = topic;
    }

    /** The point at which a scan begins. */
    public sealed interface Start {
        /** The scan begins at the first event that can belong to a job whose record has this time. */
        record At(Instant time) implements Start {}

        record Offset(long offset) implements Start {}
    }

    private record Request(Start start, ByteBuffer key, Visitor visitor) {}

    /**
     * Receives the records of a scan. It must not block, because it runs on a thread of this class, and other callers
     * wait for this thread.
     */
    @FunctionalInterface
    public interface Visitor {
        /** @return false if the visitor does not take this record; then the scan gives it no further record */
        boolean visit(ConsumerRecord<byte[], byte[]> record);
    }

    /**
     * Passes every record with this key to the visitor, in order. The scan begins at the given start. It ends at the
     * partition's end, which is read after this call has begun.
     *
     * @return the partition's end, or the offset of the record that the visitor did not take
     */
    public CompletableFuture<Long> scan(int partition, Start start, byte[] key, Visitor visitor) {
        return partitions
                .computeIfAbsent(partition, this::reads)
                .ask(new Request(start, ByteBuffer.wrap(key), visitor));
    }

    private RequestBatcher<Request, Long> reads(int partition) {
        return new RequestBatcher<>(readers, 1, Integer.MAX_VALUE, requests -> {
            try {
                IdentityHashMap<Request, Long> next = read(new TopicPartition(topic, partition), requests);
                return requests.stream()
                        .map(request -> Objects.requireNonNull(next.get(request)))
                        .toList();
            } catch (RuntimeException | Error e) {
                LOG.debugf(e, "topic=%s partition=%d a read failed", topic, partition);
                throw e;
            }
        });
    }

    /** @return for each request, the first offset that its visitor has not taken */
    private IdentityHashMap<Request, Long> read(TopicPartition partition, List<Request> requests) {
        Map<String, Object> properties = Map.of(
                ConsumerConfig.DEFAULT_API_TIMEOUT_MS_CONFIG,
                10_000,
                ConsumerConfig.MAX_POLL_RECORDS_CONFIG,
                5_000,
                ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG,
                maxRecord + 65_536);
        try (Consumer<byte[], byte[]> consumer = consumers.apply(properties)) {
            consumer.assign(List.of(partition));
            long end = consumer.endOffsets(List.of(partition)).getOrDefault(partition, 0L);
            // by identity, because the requests of two callers may be equal
            IdentityHashMap<Request, Long> next = new IdentityHashMap<>();
            Map<ByteBuffer, List<Placed>> byKey = new HashMap<>();
            long from = end;
            for (Request request : requests) {
                long offset = offset(consumer, partition, request.start(), end);
                from = Math.min(from, offset);
                byKey.computeIfAbsent(request.key(), _ -> new ArrayList<>()).add(new Placed(request, offset));
                next.put(request, end);
            }
            if (from >= end) {
                return next;
            }
            consumer.seek(partition, from);
            while (!byKey.isEmpty() && consumer.position(partition) < end) {
                for (ConsumerRecord<byte[], byte[]> record : GUARD.poll(consumer, Duration.ofMillis(500))) {
                    if (record.key() != null && record.offset() < end) {
                        show(record, byKey, next);
                    }
                }
            }
            return next;
        }
    }

    private record Placed(Request request, long offset) {}

    private static void show(
            ConsumerRecord<byte[], byte[]> record,
            Map<ByteBuffer, List<Placed>> byKey,
            IdentityHashMap<Request, Long> next) {
        ByteBuffer key = ByteBuffer.wrap(record.key());
        List<Placed> matching = byKey.get(key);
        if (matching == null) {
            return;
        }
        matching.removeIf(placed -> {
            AtomicBoolean leaves = new AtomicBoolean();
            if (record.offset() >= placed.offset()) {
                // skip a record that the visitor cannot read, because a repeated scan would find the same record
                GUARD.read(record, () -> leaves.set(!placed.request().visitor().visit(record)));
            }
            if (leaves.get()) {
                next.put(placed.request(), record.offset());
            }
            return leaves.get();
        });
        if (matching.isEmpty()) {
            byKey.remove(key);
        }
    }

    private static long offset(Consumer<?, ?> consumer, TopicPartition partition, Start start, long end) {
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
