package dev.penstock.ledger.projector;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.penstock.job.EventMark;
import dev.penstock.job.JobId;
import dev.penstock.job.JobState;
import dev.penstock.ledger.database.LedgerDatabase;
import dev.penstock.ledger.database.Positions;
import dev.penstock.ledger.database.Rows;
import dev.penstock.ledger.database.TestLedgers;
import dev.penstock.ledger.row.Columns;
import dev.penstock.ledger.row.JobRow;
import dev.penstock.ledger.row.Projection;
import dev.penstock.settings.read.TestSettings;
import dev.penstock.testkit.LogLines;
import dev.penstock.wire.record.EventHeaders;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.UUID;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.record.TimestampType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A record that a database does not take does not block the others. */
class BatchWriterTest {
    private static final TopicPartition REPLIES = new TopicPartition("prompt-replies", 0);
    private static final TopicPartition JOBS = new TopicPartition("prompt-jobs", 0);
    private static final Instant NOW = Instant.parse("2026-01-01T00:00:00Z");

    @TempDir
    private Path folder;

    private final SimpleMeterRegistry meters = new SimpleMeterRegistry();

    @Test
    void in_sqlite() throws Exception {
        check(TestLedgers.sqlite(folder.resolve("ledger.db")));
    }

    /** {@link ProjectionPropertyIT} has a server for it. */
    void inPostgresql(LedgerDatabase database) throws Exception {
        an_index_entry_that_is_too_long_is_no_outage(database);
        TestLedgers.empty(database);
        check(database);
    }

    private void check(LedgerDatabase database) throws Exception {
        hostile_values_are_cut_and_written(database);
        TestLedgers.empty(database);
        a_refused_record_is_set_apart_and_the_rest_goes_on(database);
        TestLedgers.empty(database);
        an_outage_sets_nothing_apart(database);
    }

    private void an_index_entry_that_is_too_long_is_no_outage(LedgerDatabase database) {
        String model = random(9_000);

        assertThatThrownBy(() -> database.write(connection -> {
                    try (PreparedStatement insert = connection.prepareStatement(
                            "INSERT INTO jobs (id, reply_partition, arrivals, status, attempt, applied_offset, attempts, run_starts, forgotten, created_ms, model) VALUES ('x', 0, '', 'queued', 0, 0, 0, '', 0, 1, ?)")) {
                        insert.setString(1, model);
                        insert.addBatch();
                        return insert.executeBatch();
                    }
                }))
                .isInstanceOfSatisfying(
                        LedgerDatabase.Unwritable.class,
                        refused -> assertThat(refused.why())
                                .isEqualTo("a value is larger than the database takes (SQLSTATE 54000)"))
                .hasNoCause();
        assertThat(database.isThere()).isTrue();
    }

    private void hostile_values_are_cut_and_written(LedgerDatabase database) throws Exception {
        List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();
        records.add(job(0, "long", "tiny"));
        records.add(started(0, "long", random(9_000), "run"));
        records.add(job(1, "zero", "tiny"));
        records.add(started(1, "zero", "a\\u0000b\\ud800c", "r\0n"));
        records.add(failed(2, "zero", "said \\u0000 and \\udfff", "r\0n"));
        BatchWriter writer = writer(database);

        boolean written = writer.write(records, begin(database), Map.of(JOBS, 2L, REPLIES, 3L));

        assertThat(written).isTrue();
        assertThat(writer.warning()).isEmpty();
        JobRow longRow = row(database, "long");
        assertThat(longRow.status()).isEqualTo(JobState.Status.RUNNING);
        assertThat(longRow.timeline().model()).hasSize(Columns.LONGEST_NAME);
        JobRow zero = row(database, "zero");
        assertThat(zero.status()).isEqualTo(JobState.Status.FAILED);
        assertThat(zero.timeline().model()).isEqualTo("a\uFFFDb\uFFFDc");
    }

    private void a_refused_record_is_set_apart_and_the_rest_goes_on(LedgerDatabase database) throws Exception {
        refuseNode(database);
        List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();
        for (int i = 0; i < 20; i++) {
            records.add(job(i, "job-" + i, "tiny"));
        }
        for (int i = 0; i < 20; i++) {
            records.add(started(i, "job-" + i, "tiny", "run", i == 7 || i == 12 ? "bad" : "good"));
        }
        BatchWriter writer = writer(database);

        try (LogLines log = LogLines.of(BatchWriter.class)) {
            assertThat(writer.write(records, begin(database), Map.of(JOBS, 20L, REPLIES, 20L)))
                    .isTrue();

            assertThat(log.lines().stream().filter(line -> line.startsWith("WARN")))
                    .hasSize(2)
                    .allSatisfy(line -> assertThat(line)
                            .contains("prompt-replies-0@", "onstraint")
                            .doesNotContain("'bad'", "tiny"));
        }
        assertThat(database.isThere()).isTrue();
        for (int i = 0; i < 20; i++) {
            assertThat(row(database, "job-" + i).status())
                    .as("job-%d", i)
                    .isEqualTo(i == 7 || i == 12 ? JobState.Status.QUEUED : JobState.Status.RUNNING);
        }
        assertThat(database.write(Positions::all)).containsEntry(JOBS, 20L).containsEntry(REPLIES, 20L);
        assertThat(writer.warning().orElseThrow()).contains("2 records", "prompt-replies-0@12");
        assertThat(meters.counter("penstock.ledger.set.apart", "topic", "prompt-replies")
                        .count())
                .isEqualTo(2);
        meters.clear();
    }

    private void an_outage_sets_nothing_apart(LedgerDatabase database) throws Exception {
        Map<TopicPartition, Long> from = begin(database);
        database.write(connection -> execute(connection.createStatement(), "ALTER TABLE requests RENAME TO gone"));
        BatchWriter writer = writer(database);

        assertThatThrownBy(() -> writer.write(List.of(job(0, "one", "tiny")), from, Map.of(JOBS, 1L)))
                .isInstanceOf(LedgerDatabase.Unavailable.class)
                .isNotInstanceOf(LedgerDatabase.Unwritable.class);

        assertThat(database.isThere()).isFalse();
        assertThat(writer.warning()).isEmpty();
        database.write(connection -> execute(connection.createStatement(), "ALTER TABLE gone RENAME TO requests"));
        assertThat(database.write(Positions::all)).containsEntry(JOBS, 0L);
    }

    /** Imitates a database with a rule of its own. */
    private static void refuseNode(LedgerDatabase database) throws LedgerDatabase.Unavailable {
        List<String> rule = switch (database.kind()) {
            case POSTGRESQL -> List.of("ALTER TABLE jobs ADD CONSTRAINT no_bad CHECK (node <> 'bad')");
            case SQLITE, NONE ->
                List.of(
                        "CREATE TRIGGER no_bad BEFORE UPDATE ON jobs WHEN NEW.node = 'bad' BEGIN SELECT RAISE(ABORT, 'bad'); END",
                        "CREATE TRIGGER no_bad_new BEFORE INSERT ON jobs WHEN NEW.node = 'bad' BEGIN SELECT RAISE(ABORT, 'bad'); END");
        };
        database.write(connection -> {
            for (String statement : rule) {
                execute(connection.createStatement(), statement);
            }
            return null;
        });
    }

    private static boolean execute(Statement statement, String sql) throws SQLException {
        try (statement) {
            return statement.execute(sql);
        }
    }

    private BatchWriter writer(LedgerDatabase database) {
        Projection projection = new Projection(TestSettings.defaults(), Map.of("prompt-jobs", new UUID(1, 2)));
        return new BatchWriter(database, projection, _ -> 0, Clock.fixed(NOW, ZoneOffset.UTC), meters);
    }

    private static Map<TopicPartition, Long> begin(LedgerDatabase database) throws LedgerDatabase.Unavailable {
        Map<TopicPartition, Long> from = Map.of(JOBS, 0L, REPLIES, 0L);
        database.write(connection -> {
            Positions.begin(connection, from, Map.of());
            return null;
        });
        return from;
    }

    private static JobRow row(LedgerDatabase database, String id) throws LedgerDatabase.Unavailable {
        return database.write(connection -> Rows.find(connection, List.of(new JobId(id))))
                .getFirst();
    }

    private static ConsumerRecord<byte[], byte[]> job(long offset, String id, String model) {
        String document = "{\"model\":\"%s\",\"prompt\":\"hello\",\"job\":{\"id\":\"%s\"}}".formatted(model, id);
        return record(JOBS, offset, id, document, new RecordHeaders());
    }

    private static ConsumerRecord<byte[], byte[]> started(long offset, String id, String model, String run) {
        return started(offset, id, model, run, "cpu");
    }

    private static ConsumerRecord<byte[], byte[]> started(
            long offset, String id, String model, String run, String node) {
        String document = "{\"job\":{\"id\":\"%s\",\"node\":\"%s\",\"backend\":\"ollama\",\"model\":\"%s\"}}"
                .formatted(id, node, model);
        return event(offset, id, new EventMark(EventMark.Kind.STARTED, 1, run, 0), document);
    }

    private static ConsumerRecord<byte[], byte[]> failed(long offset, String id, String message, String run) {
        String document =
                "{\"job\":{\"id\":\"%s\"},\"error\":{\"message\":\"%s\",\"code\":\"timeout\"}}".formatted(id, message);
        return event(offset, id, new EventMark(EventMark.Kind.FAILED, 1, run, 1), document);
    }

    private static ConsumerRecord<byte[], byte[]> event(long offset, String id, EventMark mark, String document) {
        return record(REPLIES, offset, id, document, EventHeaders.of(id.getBytes(StandardCharsets.UTF_8), mark, null));
    }

    private static ConsumerRecord<byte[], byte[]> record(
            TopicPartition partition, long offset, String id, String document, Headers headers) {
        byte[] key = id.getBytes(StandardCharsets.UTF_8);
        byte[] value = document.getBytes(StandardCharsets.UTF_8);
        return new ConsumerRecord<>(
                partition.topic(),
                partition.partition(),
                offset,
                NOW.toEpochMilli(),
                TimestampType.LOG_APPEND_TIME,
                key.length,
                value.length,
                key,
                value,
                headers,
                Optional.empty());
    }

    /** Such that no compression makes it short. */
    private static String random(int length) {
        return new Random(7)
                .ints(length, 'a', 'z' + 1)
                .collect(StringBuilder::new, StringBuilder::appendCodePoint, StringBuilder::append)
                .toString();
    }
}
