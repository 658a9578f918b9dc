package dev.penstock.kafka;

import io.micrometer.core.instrument.Metrics;
import java.time.Duration;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InterruptException;
import org.apache.kafka.common.errors.WakeupException;
import org.jboss.logging.Logger;

/**
 * Lets the reader of a topic continue after a record that it cannot read, or after a batch that the broker's disk has
 * damaged. It counts the unreadable records in {@code penstock_records_unreadable_total{reader}}, logs their place, and
 * shows a warning in health. The reader then continues with the next record. OutOfMemoryError is not caught, because it
 * is not a record's fault; it ends the process. Thread-safe.
 */
public final class RecordGuard {
    private static final Logger LOG = Logger.getLogger(RecordGuard.class);
    private static final Duration SHOWN_FOR = Duration.ofHours(1);
    private static final long LINE_EVERY_NANOS = Duration.ofSeconds(1).toNanos();
    private static final int REMEMBERED = 100;
    private static final Map<String, RecordGuard> GUARDS = new ConcurrentHashMap<>();

    private final String reader;
    /* Guarded by this. */
    private long count;
    private long notLogged;
    private boolean logged;
    private long loggedNanos;
    private Instant last = Instant.MIN;
    private String words = "";
    /**
     * The places that were skipped lately. A reader may come to the same place again, but each place counts only once.
     */
    private final Map<String, Boolean> batches = new LinkedHashMap<>() {
        @Override
        protected boolean removeEldestEntry(Map.Entry<String, Boolean> eldest) {
            return size() > REMEMBERED;
        }
    };

    /** The processing of one record. */
    @FunctionalInterface
    public interface Reading<X extends Exception> {
        void run() throws X;
    }

    private RecordGuard(String reader) {
        this.reader = reader;
    }

    /** @param reader the reader's name; the same name gives the same guard */
    public static RecordGuard of(String reader) {
        return GUARDS.computeIfAbsent(reader, RecordGuard::new);
    }

    /**
     * Polls, and skips records that the consumer cannot read. If it skips some, it returns no records, only the new
     * position. During the skip, a consumer in a group keeps its partitions.
     */
    public <K, V> ConsumerRecords<K, V> poll(Consumer<K, V> consumer, Duration timeout) {
        try {
            return consumer.poll(timeout);
        } catch (KafkaException e) {
            if (e.getCause() instanceof BoundedValues.NextPoll) {
                return ConsumerRecords.empty();
            }
            UnreadableBatch batch = UnreadableBatch.of(e, consumer.assignment()).orElseThrow(() -> e);
            TopicPartition partition = batch.partition();
            long from = consumer.position(partition);
            long next = batch.skip(consumer, from);
            passedOver(partition, from, next, e);
            return new ConsumerRecords<>(Map.of(), Map.of(partition, new OffsetAndMetadata(next)));
        }
    }

    /**
     * Counts and logs the unreadable records between two offsets, once.
     *
     * @param next the first offset after these records
     */
    public void passedOver(TopicPartition partition, long from, long next, Throwable e) {
        String place = next == from + 1
                ? "record=%s@%d".formatted(partition, from)
                : "records=%s@%d to %d".formatted(partition, from, next - 1);
        synchronized (this) {
            if (batches.put(place, true) != null) {
                return;
            }
        }
        Metrics.counter("penstock.records.unreadable", "reader", reader).increment((double) (next - from));
        note("%s: %s".formatted(place, e.getClass().getSimpleName()), next - from);
    }

    /** @return true if the record was read; false if the reader must skip it */
    public <X extends Exception> boolean read(ConsumerRecord<?, ?> record, Reading<X> reading) throws X {
        try {
            reading.run();
            return true;
        } catch (WakeupException | InterruptException e) {
            // the reader is the cause of these exceptions, and not the record
            throw e;
        } catch (RuntimeException | StackOverflowError e) {
            failed(record, e);
            return false;
        }
    }

    /** Counts and logs a record that could not be read. */
    public void failed(ConsumerRecord<?, ?> record, Throwable e) {
        Metrics.counter("penstock.records.unreadable", "reader", reader).increment();
        note("record=%s-%d@%d: %s".formatted(record.topic(), record.partition(), record.offset(), words(e)), 1);
    }

    private void note(String what, long records) {
        long before;
        synchronized (this) {
            count += records;
            last = Instant.now();
            words = what;
            long now = System.nanoTime();
            if (logged && now - loggedNanos < LINE_EVERY_NANOS) {
                notLogged += records;
                return;
            }
            logged = true;
            loggedNanos = now;
            before = notLogged;
            notLogged = 0;
        }
        LOG.errorf(
                "reader=%s could not read, and goes on without it: %s%s",
                reader, what, before == 0 ? "" : " (and %d before it)".formatted(before));
    }

    /** Describes an exception without its message, because the message may quote the record. */
    private static String words(Throwable e) {
        for (StackTraceElement frame : e.getStackTrace()) {
            if (frame.getClassName().startsWith("dev.penstock.")
                    && !frame.getClassName().contains("RecordGuard")) {
                return "%s at %s.%s:%d"
                        .formatted(
                                e.getClass().getSimpleName(),
                                frame.getClassName()
                                        .substring(frame.getClassName().lastIndexOf('.') + 1),
                                frame.getMethodName(),
                                frame.getLineNumber());
            }
        }
        return e.getClass().getSimpleName();
    }

    /** Returns the readers that skipped records within the last hour, each with its last skipped record. */
    public static Map<String, String> warnings() {
        Instant since = Instant.now().minus(SHOWN_FOR);
        Map<String, String> warnings = new TreeMap<>();
        GUARDS.forEach((reader, guard) -> {
            synchronized (guard) {
                if (guard.last.isAfter(since)) {
                    warnings.put(
                            reader,
                            "%d records could not be read and were skipped, the last at %s: %s"
                                    .formatted(guard.count, guard.last, guard.words));
                }
            }
        });
        return warnings;
    }
}
