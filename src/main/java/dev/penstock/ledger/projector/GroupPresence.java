package dev.penstock.ledger.projector;

import dev.penstock.kafka.KafkaClients;
import dev.penstock.settings.Settings;
import dev.penstock.thread.SupervisedThread;
import dev.penstock.wire.Reason;
import java.time.Duration;
import java.util.Collection;
import java.util.List;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.jboss.logging.Logger;

/**
 * Makes a replica without a ledger a member of the ledgers' group, because the nodes' slots are divided among the
 * members of this group. It subscribes to a topic that no ledger reads, and reads nothing itself. So it takes no
 * partition from another member.
 */
public final class GroupPresence implements AutoCloseable {
    private static final Logger LOG = Logger.getLogger(GroupPresence.class);
    private static final Duration POLL = Duration.ofMillis(250);
    private static final Duration RETRY = Duration.ofSeconds(5);

    private final KafkaClients kafka;
    private final Settings settings;
    private final SupervisedThread thread = new SupervisedThread("penstock-member", this::run);
    private volatile String member = "";

    public GroupPresence(KafkaClients kafka, Settings settings) {
        this.kafka = kafka;
        this.settings = settings;
    }

    public void start() {
        thread.start();
    }

    /** Returns the member id of this replica in the group; empty if it has not joined. */
    public String member() {
        return member;
    }

    private void run() throws InterruptedException {
        do {
            try (KafkaConsumer<byte[], byte[]> consumer =
                    kafka.reader(Membership.WITHOUT_LEDGER, Membership.joining(settings.groups()))) {
                consumer.subscribe(List.of(settings.topics().settings()), new Pausing(consumer));
                while (!thread.isStopping()) {
                    consumer.poll(POLL);
                    member = consumer.groupMetadata().memberId();
                }
            } catch (KafkaException e) {
                LOG.warnf(
                        "this replica cannot be in the group %s, trying again: %s",
                        settings.groups().ledger(), Reason.of(e));
            } finally {
                member = "";
            }
        } while (thread.pause(RETRY));
    }

    /** Pauses all assigned partitions. The consumer calls it on this class's thread. */
    private record Pausing(KafkaConsumer<byte[], byte[]> consumer) implements ConsumerRebalanceListener {
        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
            consumer.pause(partitions);
        }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
            // nothing to do, because it reads no records
        }
    }

    @Override
    public void close() {
        thread.stopAndJoin(Duration.ofSeconds(5));
    }
}
