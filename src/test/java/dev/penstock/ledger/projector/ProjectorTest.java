package dev.penstock.ledger.projector;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.penstock.job.JobId;
import dev.penstock.kafka.KafkaClients;
import dev.penstock.ledger.database.LedgerDatabase;
import dev.penstock.ledger.database.Positions;
import dev.penstock.ledger.database.Rows;
import dev.penstock.ledger.database.TestLedgers;
import dev.penstock.ledger.row.JobRow;
import dev.penstock.ledger.row.Projection;
import dev.penstock.settings.Settings;
import dev.penstock.settings.read.TestSettings;
import dev.penstock.testkit.Conditions;
import dev.penstock.testkit.LogLines;
import dev.penstock.testkit.PlayedAdmin;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.nio.file.Path;
import java.sql.SQLException;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.SortedMap;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.MockConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.OffsetCommitCallback;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What a projector writes when its group, its database and the topics change under it. */
@Timeout(60)
class ProjectorTest {
    private static final TopicPartition JOBS = new TopicPartition("prompt-jobs", 0);
    private static final Map<String, UUID> TOPIC_IDS = Map.of("prompt-jobs", new UUID(1, 2));

    @TempDir
    private Path folder;

    private final Settings settings = TestSettings.defaults();
    private final Topics topics = Topics.random(new Random(5), 12);
    private final PlayedAdmin broker = new PlayedAdmin();
    private final Log log = new Log();
    private final List<Projector> projectors = new ArrayList<>();
    private LedgerDatabase database;

    /** All partitions, as the only member of the group has them. */
    private final class Log extends MockConsumer<byte[], byte[]> {
        private static final int AT_ONCE = 4;

        /** The offset of each partition that the projector committed last. */
        final Map<TopicPartition, Long> committed = new ConcurrentHashMap<>();

        final AtomicInteger read = new AtomicInteger();
        /** So many records of each partition are there. */
        volatile int visible = Integer.MAX_VALUE;

        private boolean joined;

        Log() {
            super("earliest");
            topics.logs().keySet().forEach(partition -> {
                updateBeginningOffsets(Map.of(partition, 0L));
                updateEndOffsets(Map.of(partition, (long) topics.log(partition).size()));
            });
        }

        void assignOnly(Collection<TopicPartition> partitions) {
            schedulePollTask(() -> rebalance(partitions));
        }

        @Override
        public synchronized void commitAsync(
                Map<TopicPartition, OffsetAndMetadata> offsets, OffsetCommitCallback callback) {
            offsets.forEach((partition, offset) -> committed.put(partition, offset.offset()));
            super.commitAsync(offsets, callback);
        }

        @Override
        public synchronized ConsumerRecords<byte[], byte[]> poll(Duration timeout) {
            if (!joined) {
                joined = true;
                rebalance(topics.logs().keySet());
            }
            for (TopicPartition partition : assignment()) {
                if (!paused().contains(partition)) {
                    int from = (int) position(partition);
                    List<ConsumerRecord<byte[], byte[]>> records = topics.log(partition);
                    int to = Math.min(Math.min(records.size(), visible), from + AT_ONCE);
                    for (int offset = from; offset < to; offset++) {
                        addRecord(records.get(offset));
                        read.incrementAndGet();
                    }
                }
            }
            LockSupport.parkNanos(1_000_000);
            return super.poll(Duration.ZERO);
        }
    }

    @BeforeEach
    void open() {
        database = TestLedgers.sqlite(folder.resolve("ledger.db"));
        settings.intake().topics().forEach(topic -> broker.topic(topic.name(), Uuid.randomUuid(), 3));
        broker.topic("prompt-jobs", new Uuid(1, 2), 3);
        broker.topic(settings.topics().replies(), Uuid.randomUuid(), 3);
        broker.topic(settings.topics().commands(), Uuid.randomUuid(), 1);
        broker.topic(settings.topics().deferred(), Uuid.randomUuid(), 1);
    }

    @AfterEach
    void close() {
        projectors.forEach(Projector::close);
    }

    private Projector start(Log consumer) {
        KafkaClients kafka = new KafkaClients(Map.of(), settings.maxRecord());
        Map<String, UUID> ids = new ConcurrentHashMap<>(TOPIC_IDS);
        Map<TopicPartition, Long> beginnings = new HashMap<>();
        topics.logs().keySet().forEach(partition -> beginnings.put(partition, 0L));
        Projector projector = new Projector(
                database,
                () -> consumer,
                () -> new Beginnings(beginnings, TOPIC_IDS),
                settings,
                new BatchWriter(
                        database,
                        new Projection(settings, ids),
                        Topics::replyPartition,
                        Clock.systemUTC(),
                        new SimpleMeterRegistry()),
                new TopicWatch(database, kafka, settings, ids, Clock.systemUTC(), broker::client),
                Clock.systemUTC());
        projectors.add(projector);
        projector.start();
        return projector;
    }

    @Test
    void it_writes_what_the_topics_hold_and_tells_the_group_how_far() throws Exception {
        Projector projector = start(log);
        awaitEnd();

        assertThat(TestLedgers.dump(database)).isEqualTo(wanted());
        Conditions.await(() -> log.committed.equals(ends()));
        assertThat(projector.owned()).isEqualTo(topics.logs().keySet());
        assertThat(projector.member()).isNotEmpty();
        Conditions.await(() -> projector.behindMillis() == 0);
    }

    @Test
    void the_next_projector_begins_where_the_database_says() throws Exception {
        start(log);
        awaitEnd();
        projectors.getFirst().close();
        assertThat(log.committed).as("a scaler sees no lag").isEqualTo(ends());
        List<String> rows = TestLedgers.dump(database);
        Log next = new Log();

        start(next);
        // the group learns where it stands, although nothing comes
        Conditions.await(() -> next.committed.equals(ends()));

        assertThat(next.read.get())
                .as("at most one poll before it was placed")
                .isLessThanOrEqualTo(Log.AT_ONCE * topics.logs().size());
        assertThat(TestLedgers.dump(database)).isEqualTo(rows);
    }

    @Test
    void a_partition_that_is_taken_away_is_written_no_more() throws Exception {
        log.visible = 2;
        Projector projector = start(log);
        Conditions.await(() -> projector.owned().equals(topics.logs().keySet())
                && database.write(Positions::all).getOrDefault(JOBS, 0L) == 2);
        Set<TopicPartition> rest = Set.of(new TopicPartition("prompt-jobs", 1));
        log.assignOnly(rest);
        Conditions.await(() -> projector.owned().equals(rest));
        log.visible = Integer.MAX_VALUE;
        Conditions.await(() -> rest.stream().allMatch(partition -> {
            try {
                return database.write(Positions::all).getOrDefault(partition, 0L)
                        == topics.log(partition).size();
            } catch (LedgerDatabase.Unavailable e) {
                return false;
            }
        }));

        assertThat(database.write(Positions::all)).containsEntry(JOBS, 2L);
        // it comes back, and goes on
        log.assignOnly(topics.logs().keySet());
        awaitEnd();
        assertThat(TestLedgers.dump(database)).isEqualTo(wanted());
    }

    @Test
    void a_partition_that_another_projector_has_moved_is_read_from_there() throws Exception {
        log.visible = 0;
        Projector projector = start(log);
        Conditions.await(() -> projector.owned().contains(JOBS));
        // as another one does, that has written its first three records; here they are left out, so that it shows
        boolean moved = database.write(connection -> Positions.advance(connection, JOBS, 0, 3));
        assertThat(moved).isTrue();

        log.visible = Integer.MAX_VALUE;
        awaitEnd();

        assertThat(TestLedgers.dump(database)).isEqualTo(wantedWithout(3));
    }

    @Test
    void a_database_that_goes_away_is_waited_for_and_nothing_is_left_out() throws Exception {
        log.visible = 1;
        Projector projector = start(log);
        Conditions.await(() -> database.write(Positions::all).getOrDefault(JOBS, 0L) == 1);
        assertThatThrownBy(() -> database.write(_ -> {
                    log.visible = Integer.MAX_VALUE;
                    throw new SQLException("disk I/O error", null, 10);
                }))
                .isInstanceOf(LedgerDatabase.Unavailable.class);
        awaitEnd();

        assertThat(TestLedgers.dump(database)).isEqualTo(wanted());
        assertThat(projector.owned()).isEqualTo(topics.logs().keySet());
    }

    /** Another thread or another replica has found the tables gone, and has created them again. */
    @Test
    void an_emptied_database_is_filled_again_although_no_record_comes() throws Exception {
        start(log);
        awaitEnd();
        Conditions.await(() -> log.committed.equals(ends()));

        TestLedgers.empty(database);
        awaitEnd();

        assertThat(TestLedgers.dump(database)).isEqualTo(wanted());
    }

    @Test
    void what_the_topic_forgot_before_it_was_read_is_one_warning() throws Exception {
        log.updateBeginningOffsets(Map.of(JOBS, 3L));
        try (LogLines lines = LogLines.of(Projector.class)) {
            start(log);
            awaitEnd();

            assertThat(lines.lines().stream().filter(line -> line.startsWith("WARN")))
                    .singleElement()
                    .satisfies(line -> assertThat(line).contains("prompt-jobs-0", "between 0 and 3"));
        }
    }

    private Map<TopicPartition, Long> ends() {
        Map<TopicPartition, Long> ends = new HashMap<>();
        topics.logs().forEach((partition, records) -> ends.put(partition, (long) records.size()));
        return ends;
    }

    private void awaitEnd() throws Exception {
        Conditions.await(
                () -> database.isThere() && database.write(Positions::all).equals(ends()));
    }

    /** What the records say when they are written at once. */
    private List<String> wanted() throws Exception {
        return wantedWithout(0);
    }

    private List<String> wantedWithout(int first) throws Exception {
        LedgerDatabase other = TestLedgers.sqlite(folder.resolve("wanted.db"));
        Projection projection = new Projection(settings, TOPIC_IDS);
        for (TopicPartition partition : topics.logs().keySet()) {
            List<ConsumerRecord<byte[], byte[]>> records = topics.log(partition);
            SortedMap<JobId, List<JobRow.Change>> changes =
                    projection.changes(partition.equals(JOBS) ? records.subList(first, records.size()) : records);
            other.write(connection -> {
                Rows.apply(connection, other.kind(), changes, Topics::replyPartition);
                return null;
            });
        }
        return TestLedgers.dump(other);
    }
}
