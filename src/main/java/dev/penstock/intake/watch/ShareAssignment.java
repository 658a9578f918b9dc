package dev.penstock.intake.watch;

import dev.penstock.settings.Settings;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ShareGroupDescription;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.errors.GroupIdNotFoundException;

/**
 * Checks whether the broker assigns partitions to the share groups. The check ends when each group has partitions. A
 * single broker assigns no partition if it is configured for three replicas of the share coordinator's topic, and
 * only its log contains the reason.
 */
final class ShareAssignment {
    private static final Duration WITHIN = Duration.ofSeconds(15);
    private static final String ABOUT = "assignment";

    private final List<String> groups;
    private final Clock clock;
    private final Warnings warnings;
    private Instant since;
    private boolean assigned;

    ShareAssignment(Settings settings, Clock clock, Warnings warnings) {
        groups = settings.intake().topics().stream().map(settings::group).toList();
        this.clock = clock;
        this.warnings = warnings;
        since = clock.instant();
    }

    /**
     * @param open whether this replica takes jobs of each topic; while no node is up or a topic is paused, it does not, and
     *     with Kafka's share client it joins no group
     */
    void check(Admin admin, boolean open) throws ExecutionException, InterruptedException {
        if (assigned) {
            return;
        }
        if (!open) {
            waitAnew();
            return;
        }
        boolean all = true;
        for (KafkaFuture<ShareGroupDescription> asked :
                admin.describeShareGroups(groups).describedGroups().values()) {
            all &= isAssigned(asked);
        }
        note(all);
    }

    void waitAnew() {
        since = clock.instant();
    }

    /** @param all whether each group has partitions */
    void note(boolean all) {
        assigned = all;
        if (all) {
            warnings.end(ABOUT);
        } else if (since.plus(WITHIN).isBefore(clock.instant())) {
            warnings.warnOnce(
                    ABOUT,
                    () ->
                            "the broker has assigned no partition to the share groups %s for %d s. A cluster of fewer than three brokers needs share.coordinator.state.topic.replication.factor=1 and share.coordinator.state.topic.min.isr=1 in its configuration"
                                    .formatted(groups, WITHIN.toSeconds()));
        }
    }

    /** Returns whether the group has a partition. A group that no consumer could join does not exist, and has none. */
    private static boolean isAssigned(KafkaFuture<ShareGroupDescription> asked)
            throws ExecutionException, InterruptedException {
        try {
            return asked.get().members().stream()
                    .anyMatch(member -> !member.assignment().topicPartitions().isEmpty());
        } catch (ExecutionException e) {
            if (e.getCause() instanceof GroupIdNotFoundException) {
                return false;
            }
            throw e;
        }
    }
}
