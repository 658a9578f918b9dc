package dev.penstock.ledger.projector;

import dev.penstock.ledger.database.LedgerDatabase;
import dev.penstock.wire.record.GroupNames;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.MemberDescription;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.errors.GroupIdNotFoundException;

/**
 * The members of the ledgers' group: every replica, including replicas without a ledger. With SQLite only one replica
 * may have a ledger. Otherwise each ledger would know only some of the jobs.
 */
public final class Membership {
    /** The client id of replicas without a ledger. */
    static final String WITHOUT_LEDGER = "penstock-member";

    private static final Duration LOOK_EVERY = Duration.ofMillis(500);

    private Membership() {}

    /**
     * Returns the consumer settings with which a replica joins. With them, the broker removes a dead replica within
     * seconds.
     */
    static Map<String, Object> joining(GroupNames groups) {
        return new HashMap<>(Map.of(
                ConsumerConfig.GROUP_ID_CONFIG,
                groups.ledger(),
                ConsumerConfig.SESSION_TIMEOUT_MS_CONFIG,
                (int) Projector.SESSION_TIMEOUT.toMillis(),
                ConsumerConfig.HEARTBEAT_INTERVAL_MS_CONFIG,
                2_000,
                ConsumerConfig.PARTITION_ASSIGNMENT_STRATEGY_CONFIG,
                CooperativeStickyAssignor.class.getName()));
    }

    /**
     * Waits until no other replica with a ledger is in the group. A dead replica leaves it after the session timeout.
     *
     * @param instance the fixed name of this replica in the group; a dead process with this name does not count as
     *     another replica
     * @throws LedgerDatabase.Unusable another replica is still in the group
     */
    public static void awaitAlone(Admin admin, GroupNames groups, String instance)
            throws InterruptedException, LedgerDatabase.Unusable {
        long until =
                System.nanoTime() + Projector.SESSION_TIMEOUT.plusSeconds(4).toNanos();
        while (!others(admin, groups, instance).isEmpty()) {
            if (System.nanoTime() > until) {
                throw new LedgerDatabase.Unusable(
                        "another replica keeps a ledger for these topics, and SQLite serves one replica only: stop the other, or run all of them with penstock.ledger.kind=postgresql (and penstock.ledger.url)");
            }
            TimeUnit.NANOSECONDS.sleep(LOOK_EVERY.toNanos());
        }
    }

    static List<MemberDescription> others(Admin admin, GroupNames groups, String instance) throws InterruptedException {
        try {
            return all(admin, groups).stream()
                    .filter(member -> !member.groupInstanceId().orElse("").equals(instance)
                            && !member.clientId().equals(WITHOUT_LEDGER))
                    .toList();
        } catch (ExecutionException e) {
            throw e.getCause() instanceof KafkaException kafka ? kafka : new KafkaException(e);
        }
    }

    /** Returns all members of the group. */
    public static List<MemberDescription> all(Admin admin, GroupNames groups)
            throws ExecutionException, InterruptedException {
        try {
            return admin.describeConsumerGroups(List.of(groups.ledger())).all().get().values().stream()
                    .flatMap(group -> group.members().stream())
                    .toList();
        } catch (ExecutionException e) {
            if (e.getCause() instanceof GroupIdNotFoundException) {
                return List.of();
            }
            throw e;
        }
    }
}
