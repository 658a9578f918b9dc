package dev.penstock.intake.watch;

import dev.penstock.intake.record.PartitionsInFlight;
import dev.penstock.settings.Settings;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.common.TopicPartition;

/**
 * The number of records that the share groups have not finished, and the partitions of which the broker has more
 * records than this replica has in flight.
 */
final class ShareGroupLag {
    private final Settings settings;
    private final PartitionsInFlight inFlight;
    private final Backlog backlog;
    private final LockWindows windows;
    private volatile Set<TopicPartition> partitions = Set.of();
    /**
     * For each partition: at how many checks in a row the broker had more unfinished records than this replica had in
     * flight.
     */
    private final Map<TopicPartition, Integer> behind = new ConcurrentHashMap<>();

    ShareGroupLag(Settings settings, PartitionsInFlight inFlight, Backlog backlog, LockWindows windows) {
        this.settings = settings;
        this.inFlight = inFlight;
        this.backlog = backlog;
        this.windows = windows;
    }

    /** @param all the partitions of the job topics at the start */
    void start(Collection<TopicPartition> all) {
        partitions = Set.copyOf(all);
    }

    void check(Admin admin, Settings.JobTopic topic) throws ExecutionException, InterruptedException {
        Set<TopicPartition> known = new HashSet<>(inFlight.partitions(topic.name()));
        partitions.stream()
                .filter(partition -> partition.topic().equals(topic.name()))
                .forEach(known::add);
        note(topic.name(), GroupLag.ofShareGroup(admin, settings.group(topic), List.copyOf(known)));
    }

    void note(String topic, GroupLag.OfShareGroup unfinished) {
        unfinished.begun().forEach((partition, info) -> {
            long left = info.lag().orElseThrow();
            // the lag also contains the records that other replicas have in flight
            boolean more =
                    left - inFlight.inFlight(partition) > settings.intake().slots() / 4;
            behind.merge(partition, more ? 1 : 0, (before, now) -> more ? before + 1 : 0);
            windows.note(partition, left > 0 ? info.startOffset() : Long.MAX_VALUE);
        });
        backlog.set(topic, unfinished.records());
    }

    /**
     * Returns whether, at each of the last two checks, the broker had more unfinished records of a partition than this
     * replica had in flight.
     */
    boolean isBehind(String topic) {
        return behind.entrySet().stream()
                .anyMatch(known -> known.getKey().topic().equals(topic) && known.getValue() > 1);
    }
}
