package dev.penstock.intake.share;

import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.MockShareConsumer;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicIdPartition;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.errors.InvalidRecordStateException;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.record.TimestampType;

/** A share consumer as clients 4.3.1 have it, of which the test decides what the broker hands out and which locks it renews. */
class PlayedShareConsumer extends MockShareConsumer<byte[], byte[]> {
    static final int LOCK_MILLIS = 30_000;

    private static final String TOPIC = "prompt-jobs";

    /** The offsets whose locks are lost, as the broker sees it. */
    final Set<Long> locksLost = ConcurrentHashMap.newKeySet();

    /** What came to the broker, in order, as offset and kind; a dash is the end of a request. */
    final List<String> sent = new CopyOnWriteArrayList<>();

    final AtomicLong polls = new AtomicLong();
    private final LinkedBlockingQueue<Batch> batches = new LinkedBlockingQueue<>();
    private final Map<Long, AcknowledgeType> pending = new LinkedHashMap<>();
    private final Map<Long, ConsumerRecord<byte[], byte[]>> inFlight = new LinkedHashMap<>();
    private final List<ConsumerRecord<byte[], byte[]>> renewed = new ArrayList<>();
    private volatile boolean closed;

    private sealed interface Batch {
        record Records(List<ConsumerRecord<byte[], byte[]>> records) implements Batch {}

        record Failure(KafkaException why) implements Batch {}
    }

    /** The next poll brings these. */
    void deliveries(long... offsets) {
        handAgain(1, offsets);
    }

    void handAgain(int deliveries, long... offsets) {
        List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();
        for (long offset : offsets) {
            records.add(record(offset, deliveries));
        }
        batches.add(new Batch.Records(records));
    }

    /** The next renewal brings a record that was not asked for. */
    synchronized void slipIn(long offset) {
        ConsumerRecord<byte[], byte[]> record = record(offset, 1);
        inFlight.put(offset, record);
        renewed.add(record);
    }

    /** The next poll throws. */
    void fail(KafkaException why) {
        batches.add(new Batch.Failure(why));
    }

    boolean isClosed() {
        return closed;
    }

    static ConsumerRecord<byte[], byte[]> record(long offset, int deliveries) {
        return new ConsumerRecord<>(
                TOPIC,
                0,
                offset,
                0,
                TimestampType.CREATE_TIME,
                0,
                0,
                new byte[0],
                new byte[0],
                new RecordHeaders(),
                Optional.of(0),
                Optional.of((short) deliveries));
    }

    @Override
    public Optional<Integer> acquisitionLockTimeoutMs() {
        return Optional.of(LOCK_MILLIS);
    }

    @Override
    public synchronized ConsumerRecords<byte[], byte[]> poll(Duration timeout) {
        if (timeout.isZero()) {
            return takeRenewed();
        }
        polls.incrementAndGet();
        Batch batch;
        try {
            batch = batches.poll(1, TimeUnit.MILLISECONDS);
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
            return ConsumerRecords.empty();
        }
        return switch (batch) {
            case null -> ConsumerRecords.empty();
            case Batch.Failure(KafkaException why) -> throw why;
            case Batch.Records(List<ConsumerRecord<byte[], byte[]>> records) -> take(records);
        };
    }

    private synchronized ConsumerRecords<byte[], byte[]> take(List<ConsumerRecord<byte[], byte[]>> records) {
        if (!inFlight.isEmpty()) {
            throw new IllegalStateException("All records must be acknowledged");
        }
        records.forEach(record -> inFlight.put(record.offset(), record));
        return of(records);
    }

    private synchronized ConsumerRecords<byte[], byte[]> takeRenewed() {
        List<ConsumerRecord<byte[], byte[]>> records = List.copyOf(renewed);
        renewed.clear();
        return of(records);
    }

    private static ConsumerRecords<byte[], byte[]> of(List<ConsumerRecord<byte[], byte[]>> records) {
        return records.isEmpty()
                ? ConsumerRecords.empty()
                : new ConsumerRecords<>(Map.of(new TopicPartition(TOPIC, 0), records), Map.of());
    }

    @Override
    public synchronized void acknowledge(ConsumerRecord<byte[], byte[]> record, AcknowledgeType type) {
        if (!inFlight.containsKey(record.offset())) {
            throw new IllegalStateException("The record cannot be acknowledged.");
        }
        pending.put(record.offset(), type);
    }

    @Override
    public synchronized Map<TopicIdPartition, Optional<KafkaException>> commitSync(Duration timeout) {
        Map<TopicIdPartition, Optional<KafkaException>> answers = new HashMap<>();
        pending.forEach((offset, type) -> {
            sent.add(offset + " " + type.name());
            boolean lost = locksLost.contains(offset);
            ConsumerRecord<byte[], byte[]> record = inFlight.remove(offset);
            if (type == AcknowledgeType.RENEW && record != null && !lost) {
                inFlight.put(offset, record);
                renewed.add(record);
            }
            answers.put(
                    new TopicIdPartition(Uuid.ONE_UUID, 0, TOPIC),
                    lost ? Optional.of(new InvalidRecordStateException("its lock is lost")) : Optional.empty());
        });
        if (!pending.isEmpty()) {
            sent.add("-");
        }
        pending.clear();
        return answers;
    }

    @Override
    public synchronized void close() {
        closed = true;
        super.close();
    }
}
