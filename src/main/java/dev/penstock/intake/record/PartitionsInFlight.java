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
 * What this replica has of each partition of the job topics: how many records are in flight, and which is the newest
 * that it took. Thread-safe.
 */
public final class PartitionsInFlight {
    private final Map<TopicPartition, Taken> partitions = new ConcurrentHashMap<>();
    /** By job topic, in milliseconds. Before anything is taken, this is the time of the start. */
    private final Map<String, AtomicLong> newestTaken = new ConcurrentHashMap<>();

    private static final class Taken {
        /** The newest record that was taken here, plus one. */
        private final AtomicLong upTo = new AtomicLong();

        private final AtomicInteger inFlight = new AtomicInteger();
    }

    public PartitionsInFlight(Settings settings, Clock clock, MeterRegistry meters) {
        if (settings.intake().enabled()) {
            settings.intake().topics().forEach(topic -> gauges(topic.name(), clock, meters));
        }
    }

    /**
     * Only all replicas together know the age of the backlog. Its head is younger than what any of them took last, and
     * there is a backlog only where more is unfinished than they have in flight.
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

    /** The partitions of a topic that this replica took records of. */
    public Set<TopicPartition> partitions(String topic) {
        return partitions.keySet().stream()
                .filter(partition -> partition.topic().equals(topic))
                .collect(Collectors.toSet());
    }

    /** How many records of a partition are in flight here. */
    public int inFlight(TopicPartition partition) {
        Taken taken = partitions.get(partition);
        return taken == null ? 0 : taken.inFlight.get();
    }

    private int inFlight(String topic) {
        return partitions(topic).stream().mapToInt(this::inFlight).sum();
    }

    /** The offset of the newest record that was taken here, plus one; 0: none was. */
    public long takenUpTo(TopicPartition partition) {
        Taken taken = partitions.get(partition);
        return taken == null ? 0 : taken.upTo.get();
    }
}
