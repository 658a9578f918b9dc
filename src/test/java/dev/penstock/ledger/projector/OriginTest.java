package dev.penstock.ledger.projector;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.EventMark;
import dev.penstock.job.JobId;
import dev.penstock.job.JobState;
import dev.penstock.ledger.database.LedgerDatabase;
import dev.penstock.ledger.database.Positions;
import dev.penstock.ledger.database.Queries;
import dev.penstock.ledger.database.Rows;
import dev.penstock.ledger.database.SubmittedJob;
import dev.penstock.ledger.database.TestLedgers;
import dev.penstock.ledger.janitor.Audit;
import dev.penstock.ledger.row.JobRow;
import dev.penstock.ledger.row.JobTimeline;
import dev.penstock.ledger.row.Projection;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.UUID;
import org.apache.kafka.common.TopicPartition;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A ledger, and topics that it does not belong to. */
class OriginTest {
    private static final String JOBS = "prompt-jobs";
    private static final String REPLIES = "prompt-replies";
    private static final TopicPartition JOBS_0 = new TopicPartition(JOBS, 0);
    private static final TopicPartition REPLIES_0 = new TopicPartition(REPLIES, 0);
    private static final UUID FIRST = new UUID(1, 1);
    private static final UUID SECOND = new UUID(2, 2);
    private static final UUID FIRST_REPLIES = new UUID(3, 3);
    private static final UUID SECOND_REPLIES = new UUID(4, 4);

    @TempDir
    private Path folder;

    private LedgerDatabase database;

    @BeforeEach
    void aLedgerWithAJobThatEndedAndOneThatWaits() throws Exception {
        database = TestLedgers.sqlite(folder.resolve("ledger.db"));
        database.write(connection -> {
            Positions.begin(connection, Map.of(JOBS_0, 500L, REPLIES_0, 900L), Map.of());
            return null;
        });
        assertThat(reconcile("cluster-a", FIRST, FIRST_REPLIES)).isEqualTo(new Origin.Found(null, Set.of()));
        apply("ended", submitted(7), outcome());
        apply("waits", submitted(8));
    }

    private Origin.Found reconcile(String cluster, UUID jobs, UUID replies) throws LedgerDatabase.Unavailable {
        Origin origin = new Origin(cluster, Map.of(JOBS, jobs, REPLIES, replies));
        return database.write(
                connection -> origin.reconcile(connection, Map.of(JOBS_0, 0L, REPLIES_0, 0L), REPLIES, 1_000));
    }

    private void apply(String id, JobRow.Change... changes) throws LedgerDatabase.Unavailable {
        TreeMap<JobId, List<JobRow.Change>> ofJob = new TreeMap<>(Projection.BY_VALUE);
        ofJob.put(new JobId(id), List.of(changes));
        database.write(connection -> {
            Rows.apply(connection, database.kind(), ofJob, _ -> 0);
            return null;
        });
    }

    private static JobRow.Change submitted(long offset) {
        return SubmittedJob.at(JOBS, 0, offset, offset);
    }

    private static JobRow.Change outcome() {
        JobTimeline.Event event =
                new JobTimeline.Event(new EventMark(EventMark.Kind.CANCELLED, 0, "janitor", 0), 40, 9, null);
        return new JobRow.Change.Happened(event, new JobRow.Ending("{}", null, null));
    }

    private Optional<JobRow> row(String id) throws LedgerDatabase.Unavailable {
        return database.write(connection -> Queries.findWithOutcome(connection, List.of(new JobId(id))).stream()
                .findFirst());
    }

    private Map<TopicPartition, Positions.Position> positions() throws LedgerDatabase.Unavailable {
        return database.write(Positions::identified);
    }

    @Test
    void a_ledger_without_ids_takes_the_present_ones_and_keeps_its_positions() throws Exception {
        assertThat(positions())
                .containsEntry(JOBS_0, new Positions.Position(500, FIRST.toString()))
                .containsEntry(REPLIES_0, new Positions.Position(900, FIRST_REPLIES.toString()));
    }

    @Test
    void another_cluster_is_named_and_changes_nothing() throws Exception {
        List<String> before = TestLedgers.dump(database);

        assertThat(reconcile("cluster-b", SECOND, SECOND_REPLIES)).isEqualTo(new Origin.Found("cluster-a", Set.of()));

        assertThat(TestLedgers.dump(database)).isEqualTo(before);
        assertThat(positions()).containsEntry(JOBS_0, new Positions.Position(500, FIRST.toString()));
    }

    @Test
    void the_same_topics_change_nothing() throws Exception {
        List<String> before = TestLedgers.dump(database);

        assertThat(reconcile("cluster-a", FIRST, FIRST_REPLIES).madeAgain()).isEmpty();

        assertThat(TestLedgers.dump(database)).isEqualTo(before);
    }

    @Test
    void a_job_topic_that_was_made_again_is_read_from_its_beginning_and_its_records_are_others() throws Exception {
        assertThat(reconcile("cluster-a", SECOND, FIRST_REPLIES).madeAgain()).containsExactly(JOBS);

        assertThat(positions())
                .containsEntry(JOBS_0, new Positions.Position(0, SECOND.toString()))
                .containsEntry(REPLIES_0, new Positions.Position(900, FIRST_REPLIES.toString()));
        // its events are there: the job has ended, and a record of that id is a duplicate
        assertThat(row("ended").orElseThrow().state().orElseThrow().status()).isEqualTo(JobState.Status.CANCELLED);
        apply("ended", submitted(7));
        assertThat(row("ended").orElseThrow().submissions().records())
                .as("the same place in another topic is another record")
                .hasSize(2);
        // the waiting record does not come again, whatever the end of the new topic
        assertThat(database.write(Origin::gonePartitions)).hasSize(1).allMatch(gone -> Origin.isGone(gone.topic()));
        List<String> open = new ArrayList<>();
        for (TopicPartition gone : database.write(Origin::gonePartitions)) {
            Audit.eachOpen(
                    database,
                    gone,
                    Long.MAX_VALUE,
                    (row, _) -> open.add(row.id().value()));
        }
        assertThat(open).containsExactly("waits");
    }

    @Test
    void where_the_replies_were_made_again_too_the_ids_are_free() throws Exception {
        reconcile("cluster-a", SECOND, SECOND_REPLIES);

        assertThat(row("ended")).isEmpty();
        assertThat(row("waits")).as("it is told lost").isPresent();
        apply("ended", submitted(0));
        assertThat(row("ended").orElseThrow().state().orElseThrow().status()).isEqualTo(JobState.Status.QUEUED);
    }

    @Test
    void with_the_replies_alone_an_answer_stays_and_later_events_count() throws Exception {
        reconcile("cluster-a", FIRST, SECOND_REPLIES);

        JobRow ended = row("ended").orElseThrow();
        assertThat(ended.state().orElseThrow().status()).isEqualTo(JobState.Status.CANCELLED);
        assertThat(ended.timeline().appliedOffset()).isNegative();
        assertThat(database.write(Positions::gaps)).containsEntry(REPLIES_0, 1_000L);
        // the outcome of the other job lies at a lower offset than all before
        JobTimeline.Event event =
                new JobTimeline.Event(new EventMark(EventMark.Kind.CANCELLED, 0, "janitor", 0), 0, 9, null);
        apply("waits", new JobRow.Change.Happened(event, new JobRow.Ending("{}", null, null)));
        assertThat(row("waits").orElseThrow().state().orElseThrow().status()).isEqualTo(JobState.Status.CANCELLED);
    }
}
