package dev.penstock.intake.watch;

import dev.penstock.intake.record.PartitionsInFlight;
import dev.penstock.settings.KafkaSettings;
import dev.penstock.settings.Settings;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import java.util.Collection;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.kafka.common.TopicPartition;

/**
 * How much of its window each partition of a share group uses. A partition delivers nothing more while its newest
 * record in flight is too far ahead of its oldest unfinished one.
 */
final class LockWindows {
    private static final double NEARLY_FULL = 0.8;

    private final KafkaSettings kafka;
    private final Settings settings;
    private final PartitionsInFlight inFlight;
    private final Warnings warnings;
    private final MeterRegistry meters;
    /** {@code share.partition.max.record.locks} of each topic that a share group takes. */
    private volatile Map<String, Integer> limits = Map.of();

    private final Map<TopicPartition, Double> used = new ConcurrentHashMap<>();

    LockWindows(
            KafkaSettings kafka,
            Settings settings,
            PartitionsInFlight inFlight,
            Warnings warnings,
            MeterRegistry meters) {
        this.kafka = kafka;
        this.settings = settings;
        this.inFlight = inFlight;
        this.warnings = warnings;
        this.meters = meters;
    }

    /** @param windowLimits the limit for each topic that a share group takes; empty in classic mode */
    void start(Map<String, Integer> windowLimits, Collection<TopicPartition> partitions) {
        limits = Map.copyOf(windowLimits);
        if (windowLimits.isEmpty()) {
            return;
        }
        for (TopicPartition partition : partitions) {
            used.put(partition, 0.0);
            Gauge.builder("penstock.intake.window.used", used, known -> known.getOrDefault(partition, 0.0))
                    .tag("topic", partition.topic())
                    .tag("partition", Integer.toString(partition.partition()))
                    .register(meters);
        }
    }

    /** @param oldest the first record that is not finished; {@link Long#MAX_VALUE}: all are */
    void note(TopicPartition partition, long oldest) {
        int limit = limits.getOrDefault(partition.topic(), Integer.MAX_VALUE);
        long length = inFlight.takenUpTo(partition) - oldest;
        double part = (double) Math.max(0, length) / limit;
        used.put(partition, part);
        String about = "window." + partition;
        if (part <= NEARLY_FULL) {
            warnings.end(about);
        } else {
            warnings.warnOnce(about, () -> words(partition, limit, oldest, length));
        }
    }

    private String words(TopicPartition partition, int limit, long oldest, long length) {
        return "partition %s delivers nothing more when %d records lie between its newest record in flight and its oldest unfinished one, at offset %d; now there are %d. Give long jobs a topic of their own (penstock.intake.topics), or raise the limit, as far as the broker allows: kafka-configs --bootstrap-server %s --alter --group %s --add-config share.partition.max.record.locks=%d"
                .formatted(
                        partition,
                        limit,
                        oldest,
                        length,
                        kafka.bootstrapServers(),
                        settings.groups().of(partition.topic()),
                        2L * limit);
    }

    /** The fullest window of each topic that a share group takes; 1 is full. */
    Map<String, Double> fullest() {
        Map<String, Double> fullest = new TreeMap<>();
        used.forEach((partition, part) -> {
            if (limits.containsKey(partition.topic())) {
                fullest.merge(partition.topic(), part, Math::max);
            }
        });
        return fullest;
    }
}
