package dev.penstock.ledger.projector;

import dev.penstock.kafka.KafkaClients;
import dev.penstock.ledger.database.LedgerDatabase;
import dev.penstock.settings.Settings;
import java.time.Clock;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.function.Supplier;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.jboss.logging.Logger;
import org.jspecify.annotations.Nullable;

/** Checks whether the ledger still belongs to the current topics. Not thread-safe. */
public final class TopicWatch implements AutoCloseable {
    private static final Logger LOG = Logger.getLogger(TopicWatch.class);
    private static final Duration ANSWER_WITHIN = Duration.ofSeconds(5);

    private final LedgerDatabase database;
    private final KafkaClients kafka;
    private final Settings settings;
    private final Map<String, UUID> jobTopicIds;
    private final Clock clock;
    private final Supplier<Admin> admins;
    private @Nullable Admin admin;
    /** The cluster and the topics of the last check; null before the first check. */
    private @Nullable Origin known;

    /** @param jobTopicIds the id of each job topic; this class changes an id when its topic is recreated */
    public TopicWatch(
            LedgerDatabase database,
            KafkaClients kafka,
            Settings settings,
            Map<String, UUID> jobTopicIds,
            Clock clock) {
        this(database, kafka, settings, jobTopicIds, clock, () -> kafka.admin("penstock-ledger-topics", ANSWER_WITHIN));
    }

    /** @param admins creates the client for the checks */
    TopicWatch(
            LedgerDatabase database,
            KafkaClients kafka,
            Settings settings,
            Map<String, UUID> jobTopicIds,
            Clock clock,
            Supplier<Admin> admins) {
        this.database = database;
        this.kafka = kafka;
        this.admins = admins;
        this.settings = settings;
        this.jobTopicIds = jobTopicIds;
        this.clock = clock;
    }

    /**
     * Adapts the ledger to the current topics.
     *
     * @return the topics that were recreated since the last check
     * @throws KafkaException the broker does not answer
     * @throws LedgerDatabase.Unusable the ledger belongs to another cluster
     */
    public Set<String> look() throws InterruptedException, LedgerDatabase.Unusable, LedgerDatabase.Unavailable {
        Admin asked = admin();
        TopicPlaces places = TopicPlaces.of(asked, settings);
        Origin origin = places.origin();
        if (origin.equals(known)) {
            return Set.of();
        }
        Map<TopicPartition, Long> starts = places.logStarts(asked);
        Origin.Found found = database.write(connection ->
                origin.reconcile(connection, starts, settings.topics().replies(), clock.millis()));
        if (found.otherCluster() != null) {
            throw new LedgerDatabase.Unusable(refusal(origin.clusterId(), found.otherCluster()));
        }
        Set<String> changed = found.madeAgain();
        changed.forEach(topic -> LOG.warnf(
                "topic=%s it was deleted and made again: the ledger reads it from its beginning. Jobs of the old topic that had not started end as lost",
                topic));
        Origin before = known;
        if (before != null) {
            // another replica may have adapted the ledger first, so compare the topics with those of the last check
            Map<String, UUID> others = new HashMap<>(origin.topicIds());
            others.entrySet().removeAll(before.topicIds().entrySet());
            changed = others.keySet();
        }
        jobTopicIds.replaceAll((topic, id) -> origin.topicIds().getOrDefault(topic, id));
        known = origin;
        return Set.copyOf(changed);
    }

    /** Returns whether a check has found that the ledger belongs to this cluster. */
    boolean isKnown() {
        return known != null;
    }

    /** Forgets the last check, because the database was unavailable and may be another one now. */
    void forget() {
        known = null;
    }

    private String refusal(String cluster, String ledgersCluster) {
        return switch (settings.ledger().kind()) {
            case SQLITE ->
                "the ledger %s is of Kafka cluster %s, and the brokers at %s are cluster %s: its answers are not those of this cluster. Set penstock.ledger.path to another file, or delete that one (rm %s*) where the other cluster is gone; or set kafka.bootstrap.servers to the brokers of the ledger's cluster"
                        .formatted(
                                settings.ledger().sqliteFile(),
                                ledgersCluster,
                                kafka.bootstrapServers(),
                                cluster,
                                settings.ledger().sqliteFile());
            case POSTGRESQL, NONE ->
                "the ledger's database is of Kafka cluster %s, and the brokers at %s are cluster %s: its answers are not those of this cluster. Set penstock.ledger.url to another database (CREATE DATABASE), or empty that one where the other cluster is gone (DROP SCHEMA public CASCADE; CREATE SCHEMA public); or set kafka.bootstrap.servers to the brokers of the ledger's cluster"
                        .formatted(ledgersCluster, kafka.bootstrapServers(), cluster);
        };
    }

    private Admin admin() {
        Admin made = admin;
        if (made == null) {
            made = admins.get();
            admin = made;
        }
        return made;
    }

    @Override
    public void close() {
        Admin made = admin;
        if (made != null) {
            made.close(Duration.ofSeconds(2));
        }
    }
}
