package dev.penstock.intake.share;

import dev.penstock.kafka.KafkaClients;
import dev.penstock.thread.SupervisedThread;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
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
 * Knows the epoch of the current leader of each job partition. The epoch of a partition counts its leaders, and a
 * record carries the epoch under which it was written. A partition's leader keeps the delivery counts of a share group
 * in memory. A new leader, or the same broker after a restart, counts from the beginning (observed with Kafka 4.3.1).
 * So if a record was written under an earlier leader, a count of one delivery does not prove that the delivery is the
 * first one.
 */
public final class LeaderEpochs implements AutoCloseable {
    /** The records of one fetch, and those that come soon after it, share one request. */
    private static final Duration COLLECT = Duration.ofMillis(5);

    private static final Duration AFTER_FAILURE = Duration.ofSeconds(1);
    private static final Logger LOG = Logger.getLogger(LeaderEpochs.class);
    private static final int ANSWER_WITHIN_MILLIS = 5_000;

    private final Supplier<Admin> admins;
    private final Set<TopicPartition> asked = ConcurrentHashMap.newKeySet();
    private final Map<TopicPartition, Integer> known = new ConcurrentHashMap<>();
    private final SupervisedThread thread = SupervisedThread.ofVirtual("penstock-epochs", this::run, () -> {});
    /** Guarded by this. */
    private @Nullable CompletableFuture<@Nullable Void> next;

    public LeaderEpochs(KafkaClients kafka, List<TopicPartition> partitions) {
        this(kafka::admin, partitions);
    }

    /** @param admins returns an admin client, which this class does not close */
    LeaderEpochs(Supplier<Admin> admins, List<TopicPartition> partitions) {
        this.admins = admins;
        asked.addAll(partitions);
    }

    public void start() {
        thread.start();
    }

    /**
     * Asks for the epochs. The future completes when the broker has answered a request that was sent after this call.
     * One request serves all waiting callers.
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
     * Returns whether a record may have been written under an earlier leader, as far as this replica knows. The
     * result is certain only after the future of {@link #ask} has completed. For the first record of a partition that
     * was added to the topic later, the result is true, so that the run looks the job up.
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
            try {
                answer(admins.get());
            } catch (KafkaException e) {
                // no client could be created: fail the request, so that the waiting runs look their jobs up
                LOG.debugf("the leaders' epochs are not known: %s", e.getMessage());
                take().completeExceptionally(e);
            }
        } while (thread.pause(AFTER_FAILURE));
    }

    /**
     * Answers the requests. If the broker does not answer, the requests fail, and the waiting runs look their jobs up.
     */
    private void answer(Admin admin) throws InterruptedException {
        while (!thread.isStopping()) {
            awaitAsked();
            Thread.sleep(COLLECT);
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
                // complete the request after an unexpected exception too
                answer.completeExceptionally(new IllegalStateException("the leaders' epochs are not known"));
            }
        }
    }

    private synchronized void awaitAsked() throws InterruptedException {
        while (next == null) {
            wait();
        }
    }

    private synchronized CompletableFuture<@Nullable Void> take() throws InterruptedException {
        awaitAsked();
        CompletableFuture<@Nullable Void> waiting = Objects.requireNonNull(next);
        next = null;
        return waiting;
    }

    @Override
    public void close() {
        thread.interrupt();
    }
}
