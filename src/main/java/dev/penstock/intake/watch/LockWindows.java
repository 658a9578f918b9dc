package dev.penstock.intake.watch;

import dev.penstock.intake.record.PartitionsInFlight;
import dev.penstock.kafka.KafkaClients;
import dev.penstock.settings.Settings;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import java.util.Collection;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.kafka.common.TopicPartition;

/**
 * Measures the used part of each partition's window in a share group. The broker delivers no further record of a
 * partition while its newest record in flight is too far ahead of its oldest unfinished record.
 */
final class LockWindows {
    private static final double NEARLY_FULL = 0.8;

    private final KafkaClients kafka;
    private final Settings settings;
    private final PartitionsInFlight inFlight;
    private final Warnings warnings;
    private final MeterRegistry meters;
    /** The limit of the window, {@code share.partition.max.record.locks}, for each topic with a share group. */
    private volatile Map<String, Integer> limits = Map.of();

    private final Map<TopicPartition, Double> used = new ConcurrentHashMap<>();

    LockWindows(
            KafkaClients kafka,
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

    /** @param windowLimits the limit of the window for each topic with a share group; empty in classic mode */
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

    /** @param oldest the offset of the first unfinished record; {@link Long#MAX_VALUE} if all records are finished */
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

    /** Returns, for each topic with a share group, the used part of its fullest window; 1 is full. */
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
