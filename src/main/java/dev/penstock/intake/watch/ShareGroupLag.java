package dev.penstock.intake.watch;

import dev.penstock.intake.record.PartitionsInFlight;
import dev.penstock.settings.Settings;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.common.TopicPartition;

/** The number of records that the share groups have not finished, and the oldest one of each partition. */
final class ShareGroupLag {
    private final Settings settings;
    private final PartitionsInFlight inFlight;
    private final Backlog backlog;
    private final LockWindows windows;
    private volatile Set<TopicPartition> partitions = Set.of();

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
            windows.note(partition, left > 0 ? info.startOffset() : Long.MAX_VALUE);
        });
        backlog.set(topic, unfinished.records());
    }
}
