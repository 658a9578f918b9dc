package dev.penstock.wire;

import io.micrometer.core.instrument.Metrics;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.errors.InterruptException;
import org.apache.kafka.common.errors.WakeupException;
import org.jboss.logging.Logger;

/**
 * Keeps one record from stopping the reader of a topic. Whatever its reading throws is counted in {@code
 * penstock_records_unreadable_total{reader}}, logged with the record's place, and shown as a warning in health; the reader goes
 * on with the next record. Memory that ran out is no fault of a record: the process ends then. Thread-safe.
 */
public final class RecordGuard {
    private static final Logger LOG = Logger.getLogger(RecordGuard.class);
    private static final Duration SHOWN_FOR = Duration.ofHours(1);
    private static final long LINE_EVERY_NANOS = Duration.ofSeconds(1).toNanos();
    private static final Map<String, RecordGuard> GUARDS = new ConcurrentHashMap<>();

    private final String reader;
    /* Guarded by this. */
    private long count;
    private long notLogged;
    private boolean logged;
    private long loggedNanos;
    private Instant last = Instant.MIN;
    private String words = "";

    /** What is done with one record. */
    @FunctionalInterface
    public interface Reading<X extends Exception> {
        void run() throws X;
    }

    private RecordGuard(String reader) {
        this.reader = reader;
    }

    /** @param reader the same name gives the same guard */
    public static RecordGuard of(String reader) {
        return GUARDS.computeIfAbsent(reader, RecordGuard::new);
    }

    /** @return whether the record was read; false: it is to be passed over */
    public <X extends Exception> boolean read(ConsumerRecord<?, ?> record, Reading<X> reading) throws X {
        try {
            reading.run();
            return true;
        } catch (WakeupException | InterruptException e) {
            // of the reader, and not of the record
            throw e;
        } catch (RuntimeException | StackOverflowError e) {
            failed(record, e);
            return false;
        }
    }

    /** Takes note of a record that could not be read. */
    public void failed(ConsumerRecord<?, ?> record, Throwable e) {
        Metrics.counter("penstock.records.unreadable", "reader", reader).increment();
        String what = "record=%s-%d@%d: %s".formatted(record.topic(), record.partition(), record.offset(), words(e));
        long before;
        synchronized (this) {
            count++;
            last = Instant.now();
            words = what;
            long now = System.nanoTime();
            if (logged && now - loggedNanos < LINE_EVERY_NANOS) {
                notLogged++;
                return;
            }
            logged = true;
            loggedNanos = now;
            before = notLogged;
            notLogged = 0;
        }
        LOG.errorf(
                "reader=%s could not read a record, and goes on without it: %s%s",
                reader, what, before == 0 ? "" : " (and %d before it)".formatted(before));
    }

    /** Never the message: it may quote the record. */
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

    /** Which readers passed over records within the last hour, and the last of those. */
    public static Map<String, String> warnings() {
        Instant since = Instant.now().minus(SHOWN_FOR);
        Map<String, String> warnings = new TreeMap<>();
        GUARDS.forEach((reader, guard) -> {
            synchronized (guard) {
                if (guard.last.isAfter(since)) {
                    warnings.put(
                            reader,
                            "%d records could not be read and were passed over, the last at %s: %s"
                                    .formatted(guard.count, guard.last, guard.words));
                }
            }
        });
        return warnings;
    }
}
