package dev.penstock.ledger.projector;

import dev.penstock.ledger.database.LedgerDatabase;
import dev.penstock.ledger.database.Positions;
import dev.penstock.settings.KafkaSettings;
import jakarta.annotation.PreDestroy;
import jakarta.inject.Inject;
import jakarta.inject.Singleton;
import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Supplier;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.TopicPartition;
import org.jspecify.annotations.Nullable;

/**
 * Waits until the projection has passed the current ends of the topics. So every replica finds a job that any replica
 * accepted. It asks the broker for the partitions too, so it also waits for a new partition and for a recreated topic.
 * One request to the broker and one read of the positions serve all callers that wait.
 */
@Singleton
public class CatchUp {
    private static final Duration BETWEEN_LOOKS = Duration.ofMillis(10);

    private final LedgerDatabase database;
    private final Supplier<Broker> brokers;
    /** Guarded by this. */
    private @Nullable Broker broker;

    /* Guarded by this. */
    private final Set<String> asked = new HashSet<>();
    private @Nullable CompletableFuture<Map<TopicPartition, End>> next;
    private boolean asking;
    private @Nullable CompletableFuture<Map<TopicPartition, Positions.Position>> look;

    /**
     * The end of a partition.
     *
     * @param offset the end that a read_committed consumer sees; records of open transactions lie behind it, and no
     *     caller waits for them
     * @param topicId the id of the topic that the offset belongs to
     */
    public record End(long offset, String topicId) {
        /**
         * Returns whether a position has passed this end. A position in an earlier topic with the same name has not.
         */
        boolean isPassedBy(Positions.@Nullable Position position) {
            return position == null
                    ? offset == 0
                    : position.next() >= offset
                            && (position.topicId() == null || position.topicId().equals(topicId));
        }
    }

    /** Reports the ends of topics. */
    interface Broker extends AutoCloseable {
        /** Returns the end of each partition of these topics. */
        CompletionStage<Map<TopicPartition, End>> ends(Collection<String> topics);

        @Override
        void close();
    }

    @Inject
    public CatchUp(LedgerDatabase database, KafkaSettings kafka) {
        this(database, () -> new AdminBroker(kafka.admin("penstock-ledger-ends")));
    }

    /** @param brokers creates a client of the broker; it is called again after a failure */
    CatchUp(LedgerDatabase database, Supplier<Broker> brokers) {
        this.database = database;
        this.brokers = brokers;
    }

    /** Asks a Kafka broker. */
    private record AdminBroker(Admin admin) implements Broker {
        private static final ListOffsetsOptions COMMITTED = new ListOffsetsOptions(IsolationLevel.READ_COMMITTED);

        @Override
        public CompletionStage<Map<TopicPartition, End>> ends(Collection<String> topics) {
            Map<TopicPartition, String> ids = new HashMap<>();
            return admin.describeTopics(topics)
                    .allTopicNames()
                    .toCompletionStage()
                    .thenCompose(described -> {
                        Map<TopicPartition, OffsetSpec> latest = new HashMap<>();
                        described.forEach((name, topic) -> topic.partitions().forEach(info -> {
                            TopicPartition partition = new TopicPartition(name, info.partition());
                            ids.put(partition, TopicPlaces.id(topic).toString());
                            latest.put(partition, OffsetSpec.latest());
                        }));
                        return admin.listOffsets(latest, COMMITTED).all().toCompletionStage();
                    })
                    .thenApply(offsets -> {
                        Map<TopicPartition, End> ends = new HashMap<>();
                        offsets.forEach((partition, end) ->
                                ends.put(partition, new End(end.offset(), ids.getOrDefault(partition, ""))));
                        return ends;
                    });
        }

        @Override
        public void close() {
            admin.close(Duration.ofSeconds(2));
        }
    }

    /**
     * Returns the ends of the topics, read after this call began.
     *
     * @return the end of each partition of these topics
     * @throws TimeoutException the broker did not answer in time
     */
    public Map<TopicPartition, End> ends(Collection<String> topics, Duration atMost)
            throws InterruptedException, TimeoutException {
        try {
            Map<TopicPartition, End> ends = new HashMap<>(ask(topics).get(atMost.toMillis(), TimeUnit.MILLISECONDS));
            ends.keySet().removeIf(partition -> !topics.contains(partition.topic()));
            return ends;
        } catch (ExecutionException e) {
            TimeoutException timeout = new TimeoutException("the broker did not report where its topics end");
            timeout.initCause(e);
            throw timeout;
        }
    }

    private synchronized CompletableFuture<Map<TopicPartition, End>> ask(Collection<String> topics) {
        asked.addAll(topics);
        if (next == null) {
            next = new CompletableFuture<>();
        }
        CompletableFuture<Map<TopicPartition, End>> mine = next;
        if (!asking) {
            askNow();
        }
        return mine;
    }

    /**
     * Sends one request for all callers that wait. A caller that comes during a request waits for the next one, because
     * the broker may have answered the current request before the caller came.
     */
    private synchronized void askNow() {
        CompletableFuture<Map<TopicPartition, End>> waiting = next;
        next = null;
        asking = waiting != null;
        if (waiting == null) {
            return;
        }
        Set<String> topics = Set.copyOf(asked);
        asked.clear();
        CompletionStage<Map<TopicPartition, End>> answer;
        try {
            answer = broker().ends(topics);
        } catch (RuntimeException e) {
            // no client could be created, for example because a host name does not resolve: the next request tries
            // again
            asking = false;
            waiting.completeExceptionally(e);
            return;
        }
        var _ = answer.whenComplete((ends, failure) -> {
            if (failure == null) {
                waiting.complete(ends);
            } else {
                waiting.completeExceptionally(failure);
            }
            askNow();
        });
    }

    /**
     * Waits until the projection has passed these ends.
     *
     * @return false if it has not passed them in time
     */
    public boolean await(Map<TopicPartition, End> ends, Duration atMost)
            throws InterruptedException, LedgerDatabase.Unavailable {
        long until = System.nanoTime() + atMost.toNanos();
        while (true) {
            Map<TopicPartition, Positions.Position> positions = positions();
            if (ends.entrySet().stream().allMatch(end -> end.getValue().isPassedBy(positions.get(end.getKey())))) {
                return true;
            }
            if (System.nanoTime() > until) {
                return false;
            }
            TimeUnit.NANOSECONDS.sleep(BETWEEN_LOOKS.toNanos());
        }
    }

    private Map<TopicPartition, Positions.Position> positions()
            throws InterruptedException, LedgerDatabase.Unavailable {
        CompletableFuture<Map<TopicPartition, Positions.Position>> others;
        CompletableFuture<Map<TopicPartition, Positions.Position>> own = new CompletableFuture<>();
        synchronized (this) {
            others = look;
            if (others == null) {
                look = own;
            }
        }
        if (others != null) {
            try {
                return others.get();
            } catch (ExecutionException e) {
                throw new LedgerDatabase.Unavailable("the ledger is away", e.getCause());
            }
        }
        try {
            Map<TopicPartition, Positions.Position> positions = database.read(Positions::identified);
            own.complete(positions);
            return positions;
        } catch (LedgerDatabase.Unavailable | InterruptedException | RuntimeException | Error e) {
            own.completeExceptionally(e);
            throw e;
        } finally {
            synchronized (this) {
                look = null;
            }
        }
    }

    private Broker broker() {
        Broker known = broker;
        if (known == null) {
            known = brokers.get();
            broker = known;
        }
        return known;
    }

    @PreDestroy
    synchronized void close() {
        if (broker != null) {
            broker.close();
        }
    }
}
