package dev.penstock.ledger;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.penstock.job.JobId;
import dev.penstock.ledger.database.LedgerDatabase;
import dev.penstock.ledger.database.Positions;
import dev.penstock.ledger.database.Rows;
import dev.penstock.ledger.database.TestLedgers;
import dev.penstock.ledger.projector.Topics;
import dev.penstock.ledger.row.Projection;
import dev.penstock.reply.ReplyTopic;
import dev.penstock.settings.read.TestSettings;
import dev.penstock.testkit.PlayedProducer;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.common.TopicPartition;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The look-ups of jobs by their ids. */
@Timeout(60)
class FinderTest {
    private static final Duration LONG = Duration.ofSeconds(20);
    private static final TopicPartition REPLIES = new TopicPartition("prompt-replies", 0);

    @TempDir
    private Path folder;

    private LedgerDatabase database;
    private Finder finder;

    @BeforeEach
    void open() throws Exception {
        database = TestLedgers.sqlite(folder.resolve("ledger.db"));
        Topics topics = Topics.random(new Random(3), 8);
        Projection projection = new Projection(TestSettings.defaults(), Map.of("prompt-jobs", new UUID(1, 2)));
        database.write(connection -> {
            Rows.apply(connection, database.kind(), projection.changes(topics.all()), _ -> 0);
            Positions.begin(connection, Map.of(REPLIES, 42L), Map.of());
            return null;
        });
        finder = new Finder(database, replies());
    }

    @AfterEach
    void close() {
        finder.close();
    }

    private static ReplyTopic replies() {
        return new ReplyTopic("prompt-replies", PlayedProducer.of("prompt-replies", 1), 1 << 20, () -> 1 << 30);
    }

    @Test
    void a_job_is_found_with_the_place_of_its_later_events() throws Exception {
        Ledger.Found found = finder.find(new JobId("job-1"), LONG);
        assertThat(found.row()).hasValueSatisfying(row -> assertThat(row.id()).isEqualTo(new JobId("job-1")));
        assertThat(found.replyOffset()).isEqualTo(42);
        Ledger.Found none = finder.find(new JobId("none"), LONG);
        assertThat(none.row()).isEmpty();
        assertThat(none.isThere()).isFalse();
        assertThat(none.replyOffset()).isEqualTo(42);
    }

    @Test
    void each_of_many_that_ask_at_once_gets_its_own_job() throws Exception {
        try (ExecutorService callers = Executors.newVirtualThreadPerTaskExecutor()) {
            CountDownLatch asking = new CountDownLatch(100);
            List<Future<Ledger.Found>> answers = new ArrayList<>();
            for (int i = 0; i < 100; i++) {
                JobId id = new JobId("job-" + i % 10);
                answers.add(callers.submit(() -> {
                    asking.countDown();
                    return finder.find(id, LONG);
                }));
            }
            asking.await();
            for (int i = 0; i < 100; i++) {
                Ledger.Found found = answers.get(i).get(20, TimeUnit.SECONDS);
                String id = "job-" + i % 10;
                assertThat(found.row().map(row -> row.id().value()).orElse(id)).isEqualTo(id);
            }
        }
    }

    @Test
    void a_ledger_that_is_away_says_so_at_once() {
        assertThatThrownBy(() -> database.write(_ -> {
                    throw new SQLException("disk I/O error", null, 10);
                }))
                .isInstanceOf(LedgerDatabase.Unavailable.class);

        assertThatThrownBy(() -> finder.find(new JobId("job-1"), LONG)).isInstanceOf(LedgerDatabase.Unavailable.class);
    }

    @Test
    void a_question_that_is_not_answered_in_time_ends() {
        Finder stuck = new Finder(database, replies(), _ -> new Thread(() -> {}));

        assertThatThrownBy(() -> stuck.find(new JobId("job-1"), Duration.ofMillis(20)))
                .isInstanceOf(LedgerDatabase.Unavailable.class)
                .hasMessageContaining("in time");
    }

    @Test
    void a_question_that_fails_is_told_to_those_that_asked_and_the_next_is_answered() throws Exception {
        database.write(connection -> execute(connection, "ALTER TABLE jobs RENAME TO gone"));
        assertThatThrownBy(() -> finder.find(new JobId("job-1"), LONG))
                .isInstanceOf(LedgerDatabase.Unavailable.class)
                .hasMessageContaining("cannot be read");

        database.write(connection -> execute(connection, "ALTER TABLE gone RENAME TO jobs"));

        assertThat(finder.find(new JobId("job-1"), LONG).row()).isPresent();
    }

    private static boolean execute(Connection connection, String sql) throws SQLException {
        try (var statement = connection.createStatement()) {
            return statement.execute(sql);
        }
    }
}
