package dev.penstock.intake.record;

import dev.penstock.job.RecordPlace;
import dev.penstock.settings.Settings;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import java.time.Clock;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Collectors;
import org.apache.kafka.common.TopicPartition;

/**
 * For each partition of the job topics: the number of records in flight in this replica, and the newest record that
 * this replica took. Thread-safe.
 */
public final class PartitionsInFlight {
    private final Map<TopicPartition, Taken> partitions = new ConcurrentHashMap<>();
    /**
     * For each job topic: the timestamp of the newest record that this replica took, in milliseconds; before the first
     * record, the time of the start.
     */
    private final Map<String, AtomicLong> newestTaken = new ConcurrentHashMap<>();

    private static final class Taken {
        /** The offset after the newest record that this replica took. */
        private final AtomicLong upTo = new AtomicLong();

        private final AtomicInteger inFlight = new AtomicInteger();
    }

    public PartitionsInFlight(Settings settings, Clock clock, MeterRegistry meters) {
        if (settings.intake().enabled()) {
            settings.intake().topics().forEach(topic -> gauges(topic.name(), clock, meters));
        }
    }

    /**
     * Registers gauges for the age of a topic's backlog. Only the gauges of all replicas together show this age. The
     * first record of the backlog is younger than the newest record that any replica took. There is a backlog only if
     * more records are unfinished than all replicas have in flight.
     */
    private void gauges(String topic, Clock clock, MeterRegistry meters) {
        Gauge.builder("penstock.queue.in.hand", this, all -> all.inFlight(topic))
                .tag("topic", topic)
                .register(meters);
        AtomicLong newest = new AtomicLong(clock.millis());
        newestTaken.put(topic, newest);
        Gauge.builder("penstock.queue.taken.timestamp.seconds", newest, millis -> millis.get() / 1000.0)
                .tag("topic", topic)
                .register(meters);
    }

    public void taken(RecordPlace place, long timestamp) {
        AtomicLong newest = newestTaken.get(place.topic());
        if (newest != null) {
            newest.accumulateAndGet(timestamp, Math::max);
        }
        Taken taken = partition(place);
        taken.upTo.accumulateAndGet(place.offset() + 1, Math::max);
        taken.inFlight.incrementAndGet();
    }

    public void released(RecordPlace place) {
        partition(place).inFlight.decrementAndGet();
    }

    private Taken partition(RecordPlace place) {
        return partitions.computeIfAbsent(new TopicPartition(place.topic(), place.partition()), _ -> new Taken());
    }

    /** Returns the partitions of a topic from which this replica has taken records. */
    public Set<TopicPartition> partitions(String topic) {
        return partitions.keySet().stream()
                .filter(partition -> partition.topic().equals(topic))
                .collect(Collectors.toSet());
    }

    /** Returns the number of a topic's records that are in flight in this replica. */
    private int inFlight(String topic) {
        return partitions.entrySet().stream()
                .filter(known -> known.getKey().topic().equals(topic))
                .mapToInt(known -> known.getValue().inFlight.get())
                .sum();
    }

    /** Returns the offset after the newest record that this replica took; 0 if it took none. */
    public long takenUpTo(TopicPartition partition) {
        Taken taken = partitions.get(partition);
        return taken == null ? 0 : taken.upTo.get();
    }
}
