package dev.penstock.intake.share;

import dev.penstock.settings.KafkaSettings;
import dev.penstock.thread.SupervisedThread;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.function.Supplier;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.jboss.logging.Logger;
import org.jspecify.annotations.Nullable;

/**
 * The first offset of the current leader of each job partition. The leader of a share group keeps delivery counts in
 * memory; a new leader, or the same broker after a restart, counts from the beginning (4.3.1). So a first delivery
 * proves nothing for a record that was written under an earlier leader. The epoch counts leaders, and a record carries
 * the epoch under which it was written.
 */
public final class LeaderEpochs implements AutoCloseable {
    private static final Duration BETWEEN = Duration.ofMillis(5);
    private static final Duration AFTER_FAILURE = Duration.ofSeconds(1);
    private static final Logger LOG = Logger.getLogger(LeaderEpochs.class);
    private static final int ANSWER_WITHIN_MILLIS = 5_000;

    private final Supplier<Admin> admins;
    private final Set<TopicPartition> asked = ConcurrentHashMap.newKeySet();
    private final Map<TopicPartition, Integer> known = new ConcurrentHashMap<>();
    private final SupervisedThread thread = new SupervisedThread("penstock-epochs", this::run);
    /** Guarded by this. */
    private @Nullable CompletableFuture<@Nullable Void> next;

    public LeaderEpochs(KafkaSettings kafka, List<TopicPartition> partitions) {
        this(() -> kafka.admin("penstock-epochs"), partitions);
    }

    /** @param admins makes a client; its thread closes it */
    LeaderEpochs(Supplier<Admin> admins, List<TopicPartition> partitions) {
        this.admins = admins;
        asked.addAll(partitions);
    }

    public void start() {
        thread.start();
    }

    /**
     * Completes when the broker has answered a request that was sent after this call. One request serves all that wait.
     */
    synchronized CompletableFuture<@Nullable Void> ask() {
        CompletableFuture<@Nullable Void> waiting = next;
        if (waiting == null) {
            waiting = new CompletableFuture<>();
            next = waiting;
            notifyAll();
        }
        return waiting;
    }

    /**
     * The state as this replica knows it. Only the answers that came since {@link #ask} are certain. A partition that
     * was added is unknown at first, and its records have to be looked up.
     */
    boolean isFromEarlierLeader(ConsumerRecord<?, ?> record) {
        TopicPartition partition = new TopicPartition(record.topic(), record.partition());
        if (asked.add(partition)) {
            return true;
        }
        Integer current = known.get(partition);
        return current != null
                && record.leaderEpoch().filter(epoch -> epoch >= current).isEmpty();
    }

    private void run() throws InterruptedException {
        do {
            try (Admin admin = admins.get()) {
                answer(admin);
            } catch (KafkaException e) {
                // no client could be made: the jobs that wait are looked up
                LOG.debugf("the leaders' epochs are not known: %s", e.getMessage());
                take().completeExceptionally(e);
            }
        } while (thread.pause(AFTER_FAILURE));
    }

    /** Where the broker does not answer, the waiting runs look their jobs up. */
    private void answer(Admin admin) throws InterruptedException {
        while (!thread.isStopping()) {
            CompletableFuture<@Nullable Void> answer = take();
            try {
                Map<TopicPartition, OffsetSpec> ends = new HashMap<>();
                asked.forEach(partition -> ends.put(partition, OffsetSpec.latest()));
                admin.listOffsets(ends, new ListOffsetsOptions().timeoutMs(ANSWER_WITHIN_MILLIS))
                        .all()
                        .get()
                        .forEach((partition, end) ->
                                end.leaderEpoch().ifPresent(epoch -> known.merge(partition, epoch, Math::max)));
                answer.complete(null);
            } catch (ExecutionException | KafkaException e) {
                answer.completeExceptionally(e);
            } finally {
                // at an unexpected exception too
                answer.completeExceptionally(new IllegalStateException("the leaders' epochs are not known"));
            }
            Thread.sleep(BETWEEN);
        }
    }

    private synchronized CompletableFuture<@Nullable Void> take() throws InterruptedException {
        while (true) {
            CompletableFuture<@Nullable Void> waiting = next;
            if (waiting != null) {
                next = null;
                return waiting;
            }
            wait();
        }
    }

    @Override
    public void close() {
        thread.interrupt();
    }
}
