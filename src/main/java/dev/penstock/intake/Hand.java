package dev.penstock.intake;

import dev.penstock.settings.Settings;
import dev.penstock.wire.RecordSize;
import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicLong;

/**
 * What this replica has in hand: how much it is, so that no further records are taken while it is more than memory allows, and
 * how often the broker had handed it out before. Thread-safe.
 */
final class Hand {
    private static final int ROOM_UNIT = 1024;

    private final AtomicLong bytes = new AtomicLong();
    private final Map<Integer, AtomicLong> deliveries = new ConcurrentHashMap<>();
    private final long maxBytes;
    private final int room;
    private final Semaphore freeRoom;
    private final QueueWatch watch;
    private final MeterRegistry meters;

    Hand(Settings settings, QueueWatch watch, MeterRegistry meters) {
        maxBytes = settings.intake().maxBytes();
        room = Math.clamp(maxBytes / ROOM_UNIT, 1, Integer.MAX_VALUE);
        freeRoom = new Semaphore(room, true);
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

    /**
     * Waits until there is room for the record's run, which takes several times its size: consumers that had asked before the
     * hand was full may bring more than that. In the order of those who ask; one has room in any case.
     */
    Room admit(Held held) throws InterruptedException {
        int needed = Math.clamp(size(held) / ROOM_UNIT, 1, room);
        freeRoom.acquire(needed);
        return () -> freeRoom.release(needed);
    }

    /** Memory for one run; closing it gives it back. */
    interface Room extends AutoCloseable {
        @Override
        void close();
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
        return RecordSize.beside(held.record()) + (value == null ? 0 : value.length);
    }
}
