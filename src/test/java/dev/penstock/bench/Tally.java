package dev.penstock.bench;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashSet;
import java.util.Set;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.header.Header;

/**
 * Counts finished jobs: Penstock's {@code completed} events, and the raw loop's records, which have no event header.
 * Any other outcome ends the measurement.
 */
final class Tally implements Arrivals.Sink {
    /** The longest wait without a further finished job. */
    private static final Duration PATIENCE = Duration.ofSeconds(60);

    /* Guarded by this. */
    private final Set<String> finished = new HashSet<>();
    private int again;
    private int wanted = Integer.MAX_VALUE;
    private long records;
    private long bytes;
    private long lastNanos;
    private String failure = "";

    @Override
    public synchronized void arrived(ConsumerRecord<byte[], byte[]> record, long nanos) {
        records++;
        bytes += record.serializedKeySize() + record.serializedValueSize();
        for (Header each : record.headers()) {
            bytes += each.key().length() + each.value().length;
        }
        Header header = record.headers().lastHeader("event");
        String event = header == null ? "completed" : new String(header.value(), StandardCharsets.UTF_8);
        switch (event) {
            case "started", "chunk" -> {
                return;
            }
            case "completed" -> {
                if (finished.add(new String(record.key(), StandardCharsets.UTF_8))) {
                    lastNanos = nanos;
                } else {
                    again++;
                }
            }
            default -> failure = event + ": " + new String(record.value(), StandardCharsets.UTF_8);
        }
        if (finished.size() >= wanted || !failure.isEmpty()) {
            notifyAll();
        }
    }

    synchronized void reset() {
        finished.clear();
        again = 0;
        records = 0;
        bytes = 0;
        wanted = Integer.MAX_VALUE;
    }

    /** Returns the events and answers of every kind since the reset. */
    synchronized long records() {
        return records;
    }

    /** Returns the size of the keys, headers and values of these events and answers. */
    synchronized long bytes() {
        return bytes;
    }

    /**
     * Waits until this number of jobs has finished since the reset.
     *
     * @return when the last of them arrived, by {@link System#nanoTime}
     */
    synchronized long await(int jobs) throws InterruptedException {
        wanted = jobs;
        int before = finished.size();
        long giveUp = System.nanoTime() + PATIENCE.toNanos();
        while (finished.size() < jobs && failure.isEmpty()) {
            long left = (giveUp - System.nanoTime()) / 1_000_000;
            if (left <= 0) {
                throw new IllegalStateException(
                        "%d of %d jobs have finished, and none for %s".formatted(finished.size(), jobs, PATIENCE));
            }
            wait(Math.min(left, 1000));
            if (finished.size() > before) {
                before = finished.size();
                giveUp = System.nanoTime() + PATIENCE.toNanos();
            }
        }
        if (!failure.isEmpty()) {
            throw new IllegalStateException("a job has not completed but " + failure);
        }
        return lastNanos;
    }

    /** Returns the number of repeated outcomes; call it after all records are acknowledged. */
    synchronized int again() {
        return again;
    }
}
