package dev.penstock.ledger.janitor;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.EventMark;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.job.JobState;
import dev.penstock.job.RecordPlace;
import dev.penstock.ledger.database.LedgerDatabase;
import dev.penstock.ledger.database.Queries;
import dev.penstock.ledger.database.Retention;
import dev.penstock.ledger.database.Rows;
import dev.penstock.ledger.database.SubmittedJob;
import dev.penstock.ledger.database.TestLedgers;
import dev.penstock.ledger.row.JobRow;
import dev.penstock.ledger.row.JobTimeline;
import dev.penstock.ledger.row.Projection;
import dev.penstock.ledger.row.Refusal;
import dev.penstock.testkit.WireSchemas;
import dev.penstock.wire.document.EventDocument;
import dev.penstock.wire.document.JobObject;
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
import org.jspecify.annotations.Nullable;
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

    @Test
    void an_id_with_only_refused_records_is_rejected_until_a_valid_one_comes() throws Exception {
        JobId id = new JobId("seven");
        refused(id, 3, 40);
        refused(id, 4, 41);

        JobRow row = rows().getFirst();
        assertThat(row.state()).isEmpty();
        assertThat(row.rejected().orElseThrow().offset()).isEqualTo(41);
        assertThat(listed(JobState.Status.REJECTED, null)).containsExactly(id);
        assertThat(listed(JobState.Status.REJECTED, "invalid_request")).containsExactly(id);
        assertThat(listed(JobState.Status.REJECTED, "too_large")).isEmpty();
        assertThat(listed(null, null)).isEmpty();
        JsonNode shown = JobObject.rejected(id, row.rejected().orElseThrow().event(), NOW);
        new WireSchemas().check("job-object.schema.json", shown.toString());
        assertThat(shown.path("dead_letter").asText()).isEqualTo("1-17");
        assertThat(shown.path("error").path("message").asText()).isEqualTo("no job");

        change(id, submitted(3, NOW));
        assertThat(rows().getFirst().state()).as("the refused record itself").isEmpty();
        change(id, submitted(5, NOW));

        assertThat(rows().getFirst().rejected()).isEmpty();
        assertThat(rows().getFirst().state()).isPresent();
        assertThat(listed(JobState.Status.REJECTED, null)).isEmpty();
        assertThat(listed(JobState.Status.QUEUED, null)).containsExactly(id);
    }

    private void refused(JobId id, long record, long offset) throws LedgerDatabase.Unavailable {
        EventMark mark = new EventMark(EventMark.Kind.REJECTED, 0, "run", 0);
        JobEvent.Rejected event = new JobEvent.Rejected(
                new RecordPlace(PARTITION.topic(), PARTITION.partition(), record),
                new RecordPlace("prompt-jobs-dlq", 1, 17),
                JobFailure.of(JobFailure.Code.INVALID_REQUEST, "no job"));
        change(
                id,
                new JobRow.Change.Refused(Refusal.of(offset, NOW.toEpochMilli(), EventDocument.write(id, mark, event))
                        .orElseThrow()));
    }

    private void change(JobId id, JobRow.Change change) throws LedgerDatabase.Unavailable {
        TreeMap<JobId, List<JobRow.Change>> changes = new TreeMap<>(Projection.BY_VALUE);
        changes.put(id, List.of(change));
        apply(changes);
    }

    @SuppressWarnings("NullAway") // it does not see the annotation of a nested type in a record's compact constructor
    private List<JobId> listed(JobState.@Nullable Status status, @Nullable String code)
            throws LedgerDatabase.Unavailable {
        Queries.Filter filter = new Queries.Filter(status, null, null, null, code, null, null, Map.of());
        return database.write(connection -> Queries.list(connection, filter, null, 10).rows().stream()
                .map(JobRow::id)
                .toList());
    }

    private List<JobRow> rows() throws LedgerDatabase.Unavailable {
        return database.write(connection ->
                Rows.find(connection, List.of(new JobId("seven"), new JobId("nine"), new JobId("eleven"))));
    }

    private void finished(String id, Duration ago) throws LedgerDatabase.Unavailable {
        Instant then = NOW.minus(ago);
        JobTimeline.Event outcome = new JobTimeline.Event(
                new EventMark(EventMark.Kind.CANCELLED, 0, "janitor", 0), 1, then.toEpochMilli(), null);
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
        return SubmittedJob.at(PARTITION.topic(), PARTITION.partition(), offset, at.toEpochMilli());
    }
}
