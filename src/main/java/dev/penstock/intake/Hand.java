package dev.penstock.intake;

import dev.penstock.settings.Settings;
import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;

/**
 * What this replica has in hand: how much it is, so that no further records are taken while it is more than memory allows, and
 * how often the broker had handed it out before. Thread-safe.
 */
final class Hand {
    private final AtomicLong bytes = new AtomicLong();
    private final Map<Integer, AtomicLong> deliveries = new ConcurrentHashMap<>();
    private final long maxBytes;
    private final QueueWatch watch;
    private final MeterRegistry meters;

    Hand(Settings settings, QueueWatch watch, MeterRegistry meters) {
        maxBytes = settings.intake().maxBytes();
        this.watch = watch;
        this.meters = meters;
        Gauge.builder("penstock.intake.bytes", bytes, AtomicLong::get).register(meters);
    }

    boolean hasRoom() {
        return bytes.get() < maxBytes;
    }

    void take(Held held) {
        bytes.addAndGet(size(held));
        if (held.origin().copy() == null) {
            watch.taken(held.place(), held.record().timestamp());
            deliveries.computeIfAbsent(held.deliveries(), this::counted).incrementAndGet();
        }
    }

    private AtomicLong counted(int count) {
        AtomicLong records = new AtomicLong();
        FunctionCounter.builder("penstock.deliveries", records, AtomicLong::get)
                .tag("count", Integer.toString(count))
                .register(meters);
        return records;
    }

    /** How many records came for the first time, for the second and so on, since this replica started. */
    Map<Integer, Long> deliveries() {
        Map<Integer, Long> now = new TreeMap<>();
        deliveries.forEach((count, records) -> now.put(count, records.get()));
        return now;
    }

    void release(Held held) {
        bytes.addAndGet(-size(held));
        if (held.origin().copy() == null) {
            watch.released(held.place());
        }
    }

    private static long size(Held held) {
        byte[] value = held.record().value();
        return value == null ? 0 : value.length;
    }
}
