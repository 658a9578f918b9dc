package dev.penstock.intake.record;

import dev.penstock.settings.Settings;
import dev.penstock.wire.record.RecordSize;
import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Stream;

/**
 * Counts the records in flight in this replica and their bytes, so that the replica takes no more records than its
 * memory allows. It also counts how many records were taken at their first delivery, at their second delivery and so
 * on. Thread-safe.
 */
public final class InFlightRecords {
    private final Map<Integer, AtomicLong> deliveries = new ConcurrentHashMap<>();
    private final MemoryBudget shares;
    private final PartitionsInFlight partitions;
    private final MeterRegistry meters;
    private final int maxRecord;

    public InFlightRecords(Settings settings, PartitionsInFlight partitions, MeterRegistry meters) {
        List<Settings.JobTopic> topics = settings.intake().topics();
        shares = new MemoryBudget(
                settings.recordBytes(),
                Stream.concat(
                                topics.stream()
                                        .sorted(Comparator.comparingInt(
                                                topic -> topic.priority().rank()))
                                        .map(Settings.JobTopic::name),
                                Stream.of(settings.topics().deferred()))
                        .toList());
        maxRecord = settings.maxRecord();
        this.partitions = partitions;
        this.meters = meters;
        Gauge.builder("penstock.intake.bytes", shares, MemoryBudget::taken).register(meters);
    }

    /** Returns whether there is memory for more records of that topic. */
    boolean hasRoom(String topic) {
        return shares.isOpen(topic);
    }

    /** Returns whether at least one topic has no memory for further records. */
    public boolean isCrowded() {
        return shares.isCrowded();
    }

    void take(RecordDelivery delivery) {
        shares.take(delivery.place().topic(), size(delivery));
        if (delivery.origin().deferred() == null) {
            partitions.taken(delivery.place(), delivery.record().timestamp());
            deliveries.computeIfAbsent(delivery.deliveries(), this::counted).incrementAndGet();
        }
    }

    /** Waits until there is memory for the record's run. */
    MemoryBudget.Reservation admit(RecordDelivery delivery) throws InterruptedException {
        return shares.admit(delivery.place().topic(), size(delivery));
    }

    private AtomicLong counted(int count) {
        AtomicLong records = new AtomicLong();
        FunctionCounter.builder("penstock.deliveries", records, AtomicLong::get)
                .tag("count", Integer.toString(count))
                .register(meters);
        return records;
    }

    /** Returns, for each number n, how many records this replica has taken at their n-th delivery since its start. */
    public Map<Integer, Long> deliveries() {
        Map<Integer, Long> now = new TreeMap<>();
        deliveries.forEach((count, records) -> now.put(count, records.get()));
        return now;
    }

    void release(RecordDelivery delivery) {
        shares.release(delivery.place().topic(), size(delivery));
        if (delivery.origin().deferred() == null) {
            partitions.released(delivery.place());
        }
    }

    private long size(RecordDelivery delivery) {
        return RecordSize.bytes(delivery.record(), maxRecord);
    }
}
