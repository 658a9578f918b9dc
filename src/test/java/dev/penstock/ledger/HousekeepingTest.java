package dev.penstock.ledger;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.EventMark;
import dev.penstock.job.JobId;
import dev.penstock.job.Priority;
import dev.penstock.job.RecordPlace;
import dev.penstock.job.RecordStamp;
import dev.penstock.job.Task;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.IntStream;
import org.apache.kafka.common.TopicPartition;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class HousekeepingTest {
    private static final Instant NOW = Instant.parse("2026-05-01T12:00:00Z");
    private static final TopicPartition PARTITION = new TopicPartition("prompt-jobs", 3);

    @TempDir
    private Path folder;

    private LedgerDatabase database;

    @BeforeEach
    void open() {
        database = TestLedgers.sqlite(folder.resolve("ledger.db"));
    }

    @Test
    void an_audit_looks_behind_the_jobs_that_stay_open() throws Exception {
        SortedMap<JobId, List<JobRow.Change>> jobs = new TreeMap<>(Projection.BY_VALUE);
        for (int offset = 0; offset < 1_200; offset++) {
            jobs.put(new JobId("job-" + offset), List.of(submitted(offset, NOW)));
        }
        apply(jobs);

        List<Long> seen = new ArrayList<>();
        Audit.eachOpen(
                database,
                PARTITION,
                1_100,
                (_, record) -> seen.add(record.stamp().place().offset()));

        assertThat(seen)
                .containsExactlyElementsOf(
                        IntStream.range(0, 1_100).mapToObj(Long::valueOf).toList());
    }

    @Test
    void a_retention_beyond_eight_days_counts() throws Exception {
        finished("nine", Duration.ofDays(9));
        finished("eleven", Duration.ofDays(11));

        Retention.step(database, NOW, Duration.ofDays(10));

        List<JobRow> rows = rows();
        assertThat(rows).extracting(row -> row.id().value()).containsExactly("nine");
        assertThat(rows.getFirst().forgotten()).isFalse();
    }

    @Test
    void a_job_is_known_for_eight_days_and_shown_for_the_retention() throws Exception {
        finished("seven", Duration.ofDays(7));
        finished("nine", Duration.ofDays(9));

        Retention.step(database, NOW, Duration.ofDays(1));

        List<JobRow> rows = rows();
        assertThat(rows).extracting(row -> row.id().value()).containsExactly("seven");
        assertThat(rows.getFirst().forgotten()).isTrue();
    }

    private List<JobRow> rows() throws LedgerDatabase.Unavailable {
        return database.write(connection ->
                Rows.find(connection, List.of(new JobId("seven"), new JobId("nine"), new JobId("eleven"))));
    }

    private void finished(String id, Duration ago) throws LedgerDatabase.Unavailable {
        Instant then = NOW.minus(ago);
        Life.Event outcome =
                new Life.Event(new EventMark(EventMark.Kind.CANCELLED, 0, "janitor", 0), 1, then.toEpochMilli(), null);
        TreeMap<JobId, List<JobRow.Change>> changes = new TreeMap<>(Projection.BY_VALUE);
        changes.put(
                new JobId(id),
                List.of(
                        submitted(ago.toDays(), then),
                        new JobRow.Change.Happened(outcome, new JobRow.Ending("{}", null, null))));
        apply(changes);
    }

    private void apply(SortedMap<JobId, List<JobRow.Change>> changes) throws LedgerDatabase.Unavailable {
        database.write(connection -> {
            Rows.apply(connection, database.kind(), changes, _ -> 0);
            return null;
        });
    }

    private static JobRow.Change submitted(long offset, Instant at) {
        RecordStamp stamp =
                new RecordStamp(at.toEpochMilli(), new RecordPlace(PARTITION.topic(), PARTITION.partition(), offset));
        return new JobRow.Change.Submitted(
                new Submission(stamp, "hash", Task.CHAT, Priority.NORMAL, "default", "tiny", 1_000, null, Map.of()),
                "{}");
    }
}
