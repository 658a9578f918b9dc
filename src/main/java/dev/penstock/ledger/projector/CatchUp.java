package dev.penstock.ledger.projector;

import dev.penstock.kafka.KafkaClients;
import dev.penstock.ledger.database.LedgerDatabase;
import dev.penstock.ledger.database.Positions;
import dev.penstock.thread.RequestBatcher;
import jakarta.annotation.PreDestroy;
import jakarta.inject.Inject;
import jakarta.inject.Singleton;
import java.time.Duration;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
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

    /** Runs the batches. A thread answers batches until no request waits; the next request starts a new thread. */
    private final ExecutorService threads = Executors.newThreadPerTaskExecutor(
            Thread.ofVirtual().name("ledger-catch-up-", 0).factory());

    private final RequestBatcher<Collection<String>, Map<TopicPartition, End>> ends =
            new RequestBatcher<>(threads, 1, Integer.MAX_VALUE, this::readEnds);
    private final RequestBatcher<Boolean, Map<TopicPartition, Positions.Position>> positions =
            new RequestBatcher<>(threads, 1, Integer.MAX_VALUE, this::readPositions);

    /**
     * The end of a partition.
     *
     * @param offset the end that a read_committed consumer sees; records of open transactions lie behind it, and no
     *     caller waits for them
     * @param topicId the id of the topic that the offset belongs to
     */
    public record End(long offset, String topicId) {
        /**
         * Returns whether a position has passed this end. A position in an earlier topic with the same name does not
         * count.
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
    public CatchUp(LedgerDatabase database, KafkaClients kafka) {
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
            Map<TopicPartition, End> found = new HashMap<>(ends.ask(topics, atMost));
            found.keySet().removeIf(partition -> !topics.contains(partition.topic()));
            return found;
        } catch (ExecutionException e) {
            TimeoutException timeout = new TimeoutException("the broker did not report where its topics end");
            timeout.initCause(e);
            throw timeout;
        }
    }

    private List<Map<TopicPartition, End>> readEnds(List<Collection<String>> asked)
            throws ExecutionException, InterruptedException {
        Set<String> topics = new HashSet<>();
        asked.forEach(topics::addAll);
        Map<TopicPartition, End> found =
                broker().ends(topics).toCompletableFuture().get();
        return Collections.nCopies(asked.size(), found);
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
            Map<TopicPartition, Positions.Position> now = positions();
            if (ends.entrySet().stream().allMatch(end -> end.getValue().isPassedBy(now.get(end.getKey())))) {
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
        try {
            return positions.ask(Boolean.TRUE).get();
        } catch (ExecutionException e) {
            Throwable cause = e.getCause();
            throw cause instanceof LedgerDatabase.Unavailable
                    ? new LedgerDatabase.Unavailable(String.valueOf(cause.getMessage()), cause)
                    : new LedgerDatabase.Unavailable("the ledger cannot be read", cause);
        }
    }

    private List<Map<TopicPartition, Positions.Position>> readPositions(List<Boolean> asked)
            throws LedgerDatabase.Unavailable, InterruptedException {
        return Collections.nCopies(asked.size(), database.read(Positions::identified));
    }

    private synchronized Broker broker() {
        Broker known = broker;
        if (known == null) {
            known = brokers.get();
            broker = known;
        }
        return known;
    }

    @PreDestroy
    synchronized void close() {
        threads.shutdownNow();
        if (broker != null) {
            broker.close();
        }
    }
}
