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
 * Writes the contents of the topics into the ledger: the partitions that the ledgers' group assigns to this replica, in
 * batches, apart from the runs of jobs. Its positions are in the database, and move in the transaction of the rows. So
 * a projector that dies, is late, or shares a partition with another for a moment writes nothing twice and leaves
 * nothing out. The offsets that the group gets are for lag and scaling only.
 *
 * <p>Everything here belongs to its own thread, except {@link #owned()}, {@link #behindMillis()} and {@link #member()}.
 */
public final class Projector implements AutoCloseable {
    static final Duration SESSION_TIMEOUT = Duration.ofSeconds(6);

    private static final Logger LOG = Logger.getLogger(Projector.class);
    private static final RecordGuard GUARD = RecordGuard.of("ledger");
    /**
     * The bytes of one fetch, and of one partition. So much is in memory three times while the ledger is behind. A
     * larger record comes alone. Larger fetches need much memory: 5,000 records of 10 kB in a transaction take 76 MiB
     * for 40,000 queued jobs.
     */
    private static final int FETCH_BYTES = 2 << 20;

    private static final int PARTITION_FETCH_BYTES = 256 << 10;
    private static final Duration POLL = Duration.ofMillis(250);
    /** Under load a transaction for every few records would cost more than the records. */
    private static final Duration BETWEEN_TRANSACTIONS = Duration.ofMillis(20);

    private static final Duration RETRY = Duration.ofSeconds(1);
    /** How long it may take to see that a topic was made again. */
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
    private volatile long behindSince;
    private volatile String member = "";

    /**
     * @param instance the name in the group; a replica that comes back under the same name takes its place at once.
     *     Empty: none
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
     * @param consumers makes a member of the group of the ledgers; the projector's thread closes it
     * @param beginning asked when a partition has no position yet
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

    /** The partitions that this replica projects now. */
    public Set<TopicPartition> owned() {
        return partitions.placed();
    }

    /** The age of the last record that was projected, where more follow; else 0. */
    public long behindMillis() {
        long since = behindSince;
        return since == 0 ? 0 : Math.max(0, clock.millis() - since);
    }

    /** The member id of this replica in the group; empty: it has not joined. */
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
                // closing
            }
        }
    }

    /** Stays in the group, reads nothing, and begins again at the positions of the database. */
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
     * What is read while a topic is being made again may belong to the new one: the topic is read again from its
     * beginning.
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

    /** Goes to the position that the database has of a partition. */
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
        // also for partitions without records yet: a scaler by this group's lag sees only partitions with a committed
        // offset
        commit(consumer, begun);
        consumer.resume(unplaced);
    }

    private void project(Consumer<byte[], byte[]> consumer) throws LedgerDatabase.Unavailable, InterruptedException {
        ConsumerRecords<byte[], byte[]> records = GUARD.poll(consumer, POLL);
        if (records.nextOffsets().isEmpty()) {
            behindSince = 0;
            lookAfterDatabase();
            return;
        }
        long begun = System.nanoTime();
        Map<TopicPartition, Long> ends = partitions.ends(records);
        if (writer.write(partitions.newRecords(records, ends.keySet()), partitions.positions(), ends)) {
            partitions.advance(ends);
            Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
            ends.forEach((partition, end) -> offsets.put(partition, new OffsetAndMetadata(end)));
            commit(consumer, offsets);
            measure(consumer, records);
        } else {
            // another projector has moved one of them: read the positions again
            partitions.unplace(ends.keySet(), consumer.assignment());
        }
        pause(BETWEEN_TRANSACTIONS.minusNanos(System.nanoTime() - begun));
    }

    private static void commit(Consumer<?, ?> consumer, Map<TopicPartition, OffsetAndMetadata> offsets) {
        consumer.commitAsync(offsets, (_, failure) -> {
            if (failure != null) {
                LOG.debugf("the offsets could not be committed: %s", failure.getMessage());
            }
        });
    }

    /** Finds out, while there is nothing to write, that the database is gone, or that it is back and empty. */
    private void lookAfterDatabase() throws LedgerDatabase.Unavailable {
        long now = System.nanoTime();
        if (now - lookedNanos > RETRY.toNanos()) {
            lookedNanos = now;
            database.write(Positions::all);
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
