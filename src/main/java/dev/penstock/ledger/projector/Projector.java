package dev.penstock.ledger.projector;

import dev.penstock.kafka.KafkaClients;
import dev.penstock.kafka.RecordGuard;
import dev.penstock.ledger.database.LedgerDatabase;
import dev.penstock.ledger.database.Positions;
import dev.penstock.ledger.row.Submissions;
import dev.penstock.settings.Settings;
import dev.penstock.thread.SupervisedThread;
import dev.penstock.wire.record.IntakeMode;
import io.quarkus.runtime.Quarkus;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
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
    private final Beginning beginning;
    private final Settings settings;
    private final BatchWriter writer;
    private final TopicWatch topics;
    private final Clock clock;
    private final SupervisedThread thread;
    /**
     * The position of each partition that this replica has; where the database differs, another projector has the
     * partition.
     */
    private final Map<TopicPartition, Long> next = new ConcurrentHashMap<>();

    private final Set<TopicPartition> unplaced = new HashSet<>();
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
                () -> beginnings(kafka, settings, mode, clock),
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
            Beginning beginning,
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
        return Set.copyOf(next.keySet());
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
            next.clear();
            unplaced.clear();
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
        consumer.subscribe(names, new Assignments());
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
        unplaced.addAll(consumer.assignment());
        next.clear();
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
        if (unplaced.isEmpty() && now - topicsLookedNanos < TOPICS.toNanos()) {
            return;
        }
        topicsLookedNanos = now;
        try {
            Set<String> madeAgain = topics.look();
            for (TopicPartition partition : consumer.assignment()) {
                if (madeAgain.contains(partition.topic())) {
                    unplaced.add(partition);
                    next.remove(partition);
                }
            }
        } catch (KafkaException e) {
            LOG.debugf("the topics could not be checked: %s", e.getMessage());
        }
    }

    /** Goes to the position that the database has of a partition. */
    private void place(Consumer<byte[], byte[]> consumer) throws LedgerDatabase.Unavailable, InterruptedException {
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
        for (TopicPartition partition : Set.copyOf(unplaced)) {
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
            next.put(partition, position);
            begun.put(partition, new OffsetAndMetadata(position));
        }
        // also for partitions without records yet: a scaler by this group's lag sees only partitions with a committed
        // offset
        commit(consumer, begun);
        consumer.resume(unplaced);
        unplaced.clear();
    }

    /** Where a new ledger begins, and of which topics that is. */
    record Beginnings(Map<TopicPartition, Long> offsets, Map<String, UUID> topicIds) {}

    @FunctionalInterface
    interface Beginning {
        Beginnings find() throws InterruptedException;
    }

    private static Beginnings beginnings(KafkaClients kafka, Settings settings, IntakeMode mode, Clock clock)
            throws InterruptedException {
        Admin admin = kafka.admin();
        try (KafkaConsumer<byte[], byte[]> reader = kafka.reader("penstock-ledger-start", Map.of())) {
            TopicPlaces places = TopicPlaces.of(admin, settings);
            return new Beginnings(
                    places.beginnings(admin, reader, settings, mode, clock.instant()),
                    places.origin().topicIds());
        }
    }

    private void project(Consumer<byte[], byte[]> consumer) throws LedgerDatabase.Unavailable, InterruptedException {
        ConsumerRecords<byte[], byte[]> records = GUARD.poll(consumer, POLL);
        if (records.nextOffsets().isEmpty()) {
            behindSince = 0;
            lookAfterDatabase();
            return;
        }
        long begun = System.nanoTime();
        Map<TopicPartition, Long> ends = new TreeMap<>(Submissions.inOrder());
        records.nextOffsets().forEach((partition, offset) -> {
            Long from = next.get(partition);
            if (from != null && offset.offset() < from) {
                // the log of the partition begins anew: its position has to be found again
                unplaced.add(partition);
                next.remove(partition);
            } else if (from != null) {
                ends.put(partition, offset.offset());
            }
        });
        if (write(records, ends)) {
            next.putAll(ends);
            Map<TopicPartition, OffsetAndMetadata> told = new HashMap<>();
            ends.forEach((partition, end) -> told.put(partition, new OffsetAndMetadata(end)));
            commit(consumer, told);
            measure(consumer, records);
        } else {
            // another projector has moved one of them: read the positions again
            unplaced.addAll(ends.keySet());
            unplaced.retainAll(consumer.assignment());
            next.keySet().removeAll(ends.keySet());
        }
        pause(BETWEEN_TRANSACTIONS.minusNanos(System.nanoTime() - begun));
    }

    private static void commit(Consumer<?, ?> consumer, Map<TopicPartition, OffsetAndMetadata> told) {
        consumer.commitAsync(told, (_, failure) -> {
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

    /** @return false where another projector has moved a partition */
    private boolean write(ConsumerRecords<byte[], byte[]> records, Map<TopicPartition, Long> ends)
            throws LedgerDatabase.Unavailable {
        List<ConsumerRecord<byte[], byte[]>> mine = new ArrayList<>();
        for (TopicPartition partition : ends.keySet()) {
            long from = next.getOrDefault(partition, Long.MAX_VALUE);
            for (ConsumerRecord<byte[], byte[]> record : records.records(partition)) {
                if (record.offset() >= from) {
                    mine.add(record);
                }
            }
        }
        return writer.write(mine, next, ends);
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

    /** The consumer calls this, in this thread. */
    private final class Assignments implements ConsumerRebalanceListener {
        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
            unplaced.addAll(partitions);
        }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
            unplaced.removeAll(partitions);
            next.keySet().removeAll(partitions);
        }

        @Override
        public void onPartitionsLost(Collection<TopicPartition> partitions) {
            onPartitionsRevoked(partitions);
        }
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
        thread.stop();
        try {
            thread.join(Duration.ofSeconds(5));
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
        }
    }
}
