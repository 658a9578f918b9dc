package dev.penstock.ledger.projector;

import dev.penstock.kafka.KafkaClients;
import dev.penstock.kafka.RecordGuard;
import dev.penstock.ledger.database.LedgerDatabase;
import dev.penstock.ledger.database.Positions;
import dev.penstock.settings.Settings;
import dev.penstock.thread.SupervisedThread;
import dev.penstock.wire.record.IntakeMode;
import io.quarkus.runtime.Quarkus;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Supplier;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.WakeupException;
import org.jboss.logging.Logger;

/**
 * Writes the contents of the topics into the ledger, in batches. It reads the partitions that the ledgers' group
 * assigns to this replica, and no run waits for it. Its positions are in the database, and change in the same
 * transaction as the rows. So a projector that dies, is late, or briefly shares a partition with another projector
 * writes nothing twice and omits nothing. The offsets that it commits to the group are only for lag metrics and
 * scaling.
 *
 * <p>All fields belong to the projector's own thread. Other threads may call {@link #owned()}, {@link #behindMillis()}
 * and {@link #member()}.
 */
public final class Projector implements AutoCloseable {
    static final Duration SESSION_TIMEOUT = Duration.ofSeconds(6);

    private static final Logger LOG = Logger.getLogger(Projector.class);
    private static final RecordGuard GUARD = RecordGuard.of("ledger");
    /**
     * The maximum number of bytes of one fetch, and of one partition in it. While the ledger is behind, such a fetch is
     * in memory three times. A larger record comes alone. Larger fetches need much memory: with 40,000 queued jobs, a
     * transaction of 5,000 records of 10 kB takes 76 MiB.
     */
    private static final int FETCH_BYTES = 2 << 20;

    private static final int PARTITION_FETCH_BYTES = 256 << 10;
    private static final Duration POLL = Duration.ofMillis(250);
    /**
     * The least time between the starts of two transactions. Under load, a transaction for every few records would cost
     * more than the records.
     */
    private static final Duration BETWEEN_TRANSACTIONS = Duration.ofMillis(20);

    /** The time between two commits to the group, which cost the broker as much as the fetches. */
    private static final Duration COMMITS = Duration.ofSeconds(1);

    private static final Duration RETRY = Duration.ofSeconds(1);
    /** The time between two checks whether a topic was recreated. */
    private static final Duration TOPICS = Duration.ofSeconds(1);

    private final LedgerDatabase database;
    private final Supplier<Consumer<byte[], byte[]>> consumers;
    private final Beginnings.Source beginning;
    private final Settings settings;
    private final BatchWriter writer;
    private final TopicWatch topics;
    private final Clock clock;
    private final SupervisedThread thread;
    private final OwnPartitions partitions = new OwnPartitions();
    private long lookedNanos = System.nanoTime();
    private long topicsLookedNanos = System.nanoTime();
    private final Map<TopicPartition, OffsetAndMetadata> uncommitted = new HashMap<>();
    private long committedNanos = System.nanoTime();
    private volatile long behindSince;
    private volatile String member = "";

    /**
     * @param instance the fixed name in the group; empty if there is none. A replica that restarts with the same name
     *     gets its old membership at once
     */
    public Projector(
            LedgerDatabase database,
            KafkaClients kafka,
            Settings settings,
            BatchWriter writer,
            TopicWatch topics,
            Clock clock,
            IntakeMode mode,
            String instance) {
        this(
                database,
                () -> consumer(kafka, settings, instance),
                () -> Beginnings.of(kafka, settings, mode, clock),
                settings,
                writer,
                topics,
                clock);
    }

    /**
     * @param consumers creates a member of the ledgers' group; the projector's thread closes it
     * @param beginning called when a partition has no position yet
     */
    Projector(
            LedgerDatabase database,
            Supplier<Consumer<byte[], byte[]>> consumers,
            Beginnings.Source beginning,
            Settings settings,
            BatchWriter writer,
            TopicWatch topics,
            Clock clock) {
        this.database = database;
        this.consumers = consumers;
        this.beginning = beginning;
        this.settings = settings;
        this.writer = writer;
        this.topics = topics;
        this.clock = clock;
        thread = new SupervisedThread("penstock-ledger", this::run);
    }

    public void start() {
        thread.start();
    }

    /** Returns the partitions that this replica projects now. */
    public Set<TopicPartition> owned() {
        return partitions.placed();
    }

    /** Returns the age of the last projected record if more records follow, else 0. */
    public long behindMillis() {
        long since = behindSince;
        return since == 0 ? 0 : Math.max(0, clock.millis() - since);
    }

    /** Returns the member id of this replica in the group; empty if it has not joined. */
    public String member() {
        return member;
    }

    private void run() throws InterruptedException {
        try (Consumer<byte[], byte[]> consumer = consumers.get()) {
            follow(consumer);
        } catch (LedgerDatabase.Unusable e) {
            LOG.errorf("Penstock cannot go on: %s", e.getMessage());
            Quarkus.asyncExit(1);
        } finally {
            partitions.clear();
            member = "";
        }
    }

    private static Consumer<byte[], byte[]> consumer(KafkaClients kafka, Settings settings, String instance) {
        Map<String, Object> properties = Membership.joining(settings.groups());
        properties.put(ConsumerConfig.MAX_POLL_RECORDS_CONFIG, 5_000);
        properties.put(ConsumerConfig.FETCH_MAX_BYTES_CONFIG, FETCH_BYTES);
        properties.put(ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG, PARTITION_FETCH_BYTES);
        if (!instance.isEmpty()) {
            properties.put(ConsumerConfig.GROUP_INSTANCE_ID_CONFIG, instance);
        }
        return kafka.reader("penstock-ledger", properties);
    }

    private void follow(Consumer<byte[], byte[]> consumer) throws InterruptedException, LedgerDatabase.Unusable {
        List<String> names = new ArrayList<>(
                settings.intake().topics().stream().map(Settings.JobTopic::name).toList());
        names.add(settings.topics().replies());
        names.add(settings.topics().commands());
        names.add(settings.topics().deferred());
        consumer.subscribe(names, partitions);
        while (!isClosing()) {
            try {
                if (!database.isThere()) {
                    database.migrate();
                }
                lookAtTopics(consumer);
                if (topics.isKnown()) {
                    place(consumer);
                }
                project(consumer);
                member = consumer.groupMetadata().memberId();
            } catch (LedgerDatabase.Unavailable e) {
                waitForDatabase(consumer, e);
            } catch (WakeupException _) {
                // the thread is stopping
            }
        }
        // a scaler that sees this group's lag would otherwise start a replica for the last second
        commit(consumer);
    }

    /**
     * Waits for the database. Meanwhile the projector stays in the group and reads nothing. Later it begins again at
     * the positions in the database.
     */
    private void waitForDatabase(Consumer<byte[], byte[]> consumer, LedgerDatabase.Unavailable why)
            throws InterruptedException {
        LOG.debugf("%s: %s", why.getMessage(), why.why());
        if (behindSince == 0) {
            behindSince = clock.millis();
        }
        partitions.unplaceAll(consumer.assignment());
        topics.forget();
        consumer.pause(consumer.assignment());
        consumer.poll(Duration.ZERO);
        member = consumer.groupMetadata().memberId();
        pause(RETRY);
    }

    /**
     * Removes the positions of recreated topics. Records that are read while a topic is recreated may belong to the new
     * topic. So the projector reads the topic again from its beginning.
     */
    private void lookAtTopics(Consumer<byte[], byte[]> consumer)
            throws InterruptedException, LedgerDatabase.Unusable, LedgerDatabase.Unavailable {
        long now = System.nanoTime();
        if (partitions.unplaced().isEmpty() && now - topicsLookedNanos < TOPICS.toNanos()) {
            return;
        }
        topicsLookedNanos = now;
        try {
            Set<String> madeAgain = topics.look();
            for (TopicPartition partition : consumer.assignment()) {
                if (madeAgain.contains(partition.topic())) {
                    partitions.unplace(partition);
                }
            }
        } catch (KafkaException e) {
            LOG.debugf("the topics could not be checked: %s", e.getMessage());
        }
    }

    /** Moves the consumer to the position that the database has for each unplaced partition. */
    private void place(Consumer<byte[], byte[]> consumer) throws LedgerDatabase.Unavailable, InterruptedException {
        Set<TopicPartition> unplaced = partitions.unplaced();
        if (unplaced.isEmpty()) {
            return;
        }
        Map<TopicPartition, Long> positions = database.write(Positions::all);
        if (!positions.keySet().containsAll(unplaced)) {
            Beginnings beginnings = beginning.find();
            positions = database.write(connection -> {
                Positions.begin(connection, beginnings.offsets(), beginnings.topicIds());
                return Positions.all(connection);
            });
        }
        Map<TopicPartition, OffsetAndMetadata> begun = new HashMap<>();
        Map<TopicPartition, Long> logStarts = consumer.beginningOffsets(unplaced);
        for (TopicPartition partition : unplaced) {
            long known = positions.getOrDefault(partition, 0L);
            long position = Math.max(known, logStarts.getOrDefault(partition, 0L));
            if (position > known) {
                LOG.warnf(
                        "partition=%s the topic has forgotten what lies between %d and %d, and the ledger never saw it: it was away for longer than the topic keeps its records",
                        partition, known, position);
                database.write(connection -> {
                    Positions.jump(connection, partition, known, position, clock.millis());
                    return null;
                });
            }
            consumer.seek(partition, position);
            partitions.place(partition, position);
            begun.put(partition, new OffsetAndMetadata(position));
        }
        // also for partitions without records: a scaler that uses this group's lag sees only partitions with a
        // committed offset
        uncommitted.putAll(begun);
        commit(consumer);
        consumer.resume(unplaced);
    }

    private void project(Consumer<byte[], byte[]> consumer) throws LedgerDatabase.Unavailable, InterruptedException {
        ConsumerRecords<byte[], byte[]> records = GUARD.poll(consumer, POLL);
        if (records.nextOffsets().isEmpty()) {
            behindSince = 0;
            commit(consumer);
            lookAfterDatabase(consumer);
            return;
        }
        long begun = System.nanoTime();
        Map<TopicPartition, Long> ends = partitions.ends(records);
        if (writer.write(partitions.newRecords(records, ends.keySet()), partitions.positions(), ends)) {
            partitions.advance(ends);
            ends.forEach((partition, end) -> uncommitted.put(partition, new OffsetAndMetadata(end)));
            if (begun - committedNanos >= COMMITS.toNanos()) {
                commit(consumer);
            }
            measure(consumer, records);
        } else {
            // another projector has moved a position: read the positions again
            partitions.unplace(ends.keySet(), consumer.assignment());
        }
        pause(BETWEEN_TRANSACTIONS.minusNanos(System.nanoTime() - begun));
    }

    private void commit(Consumer<?, ?> consumer) {
        uncommitted.keySet().retainAll(partitions.placed());
        committedNanos = System.nanoTime();
        if (uncommitted.isEmpty()) {
            return;
        }
        Map<TopicPartition, OffsetAndMetadata> offsets = Map.copyOf(uncommitted);
        uncommitted.clear();
        consumer.commitAsync(offsets, (_, failure) -> {
            if (failure != null) {
                LOG.debugf("the offsets could not be committed: %s", failure.getMessage());
            }
        });
    }

    /**
     * Checks the database while there is nothing to write. It may be unavailable, or it may have been replaced by an
     * empty one. Another thread or another replica may have noticed that first and have created the tables again, so
     * the positions are compared.
     */
    private void lookAfterDatabase(Consumer<?, ?> consumer) throws LedgerDatabase.Unavailable {
        long now = System.nanoTime();
        if (now - lookedNanos > RETRY.toNanos()) {
            lookedNanos = now;
            partitions.unplace(partitions.moved(database.write(Positions::all)), consumer.assignment());
        }
    }

    private void measure(Consumer<byte[], byte[]> consumer, ConsumerRecords<byte[], byte[]> records) {
        long oldest = 0;
        for (TopicPartition partition : records.partitions()) {
            if (consumer.currentLag(partition).orElse(0) > 0) {
                long last = records.records(partition).getLast().timestamp();
                oldest = oldest == 0 ? last : Math.min(oldest, last);
            }
        }
        behindSince = oldest;
    }

    private boolean isClosing() {
        return thread.isStopping();
    }

    private void pause(Duration duration) throws InterruptedException {
        if (duration.isPositive()) {
            var _ = thread.pause(duration);
        }
    }

    @Override
    public void close() {
        thread.stopAndJoin(Duration.ofSeconds(5));
    }
}
