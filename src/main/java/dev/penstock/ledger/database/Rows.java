package dev.penstock.ledger.database;

import dev.penstock.job.EventMark;
import dev.penstock.job.JobId;
import dev.penstock.job.JobState;
import dev.penstock.job.Reading;
import dev.penstock.job.RecordPlace;
import dev.penstock.job.RunStarts;
import dev.penstock.ledger.row.Columns;
import dev.penstock.ledger.row.JobRow;
import dev.penstock.ledger.row.JobTimeline;
import dev.penstock.ledger.row.Projection;
import dev.penstock.ledger.row.Submission;
import dev.penstock.ledger.row.Submissions;
import dev.penstock.settings.Settings;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.ToIntFunction;
import org.jspecify.annotations.Nullable;

/** Reads and changes rows of {@code jobs}. */
public final class Rows {
    public static final String WITHOUT_OUTCOME = """
            id, arrivals, cancel_ms, status, attempt, run, applied_offset, first_offset, named_topic, named_partition, \
            named_offset, started_ms, finished_ms, attempts, run_starts, node, backend, model, outcome_offset, forgotten, error, usage""";

    /** The possible numbers of ids in one query. They are few, so that few statements are prepared. */
    private static final int[] SIZES = {1, 8, 64, 512};

    private static final List<String> OWN = List.of(
            "created_ms",
            "record_topic",
            "record_partition",
            "record_offset",
            "task",
            "priority",
            "tenant",
            "asked_model",
            "deadline_ms",
            "arrivals",
            "cancel_ms",
            "status",
            "attempt",
            "run",
            "applied_offset",
            "first_offset",
            "named_topic",
            "named_partition",
            "named_offset",
            "started_ms",
            "finished_ms",
            "attempts",
            "run_starts",
            "node",
            "backend",
            "model",
            "outcome_offset",
            "overdue_ms",
            "stub_ms",
            "forgotten");
    private static final String INSERT = "INSERT INTO jobs (" + String.join(", ", OWN)
            + ", error, usage, outcome, id, reply_partition) VALUES (" + "?, ".repeat(OWN.size() + 4)
            + "?) ON CONFLICT DO NOTHING";
    private static final String UPDATE =
            "UPDATE jobs SET " + String.join(" = ?, ", OWN) + " = ?, error = ?, usage = ?, outcome = ? WHERE id = ?";
    private static final String UPDATE_OPEN = "UPDATE jobs SET " + String.join(" = ?, ", OWN) + " = ? WHERE id = ?";

    private Rows() {}

    /**
     * Merges changes from the topics into the rows, in one transaction. It locks the rows in the order of their ids.
     *
     * @param changes the changes of each job; the changes from one partition are in the order of the partition
     * @param replyPartition returns the reply partition of a job
     */
    public static void apply(
            Connection connection,
            Settings.LedgerKind kind,
            SortedMap<JobId, List<JobRow.Change>> changes,
            ToIntFunction<JobId> replyPartition)
            throws SQLException {
        SortedMap<JobId, List<JobRow.Change>> left = changes;
        Map<JobId, JobRow> forgotten = new HashMap<>();
        while (!left.isEmpty()) {
            Map<JobId, JobRow> there = load(connection, kind, left.keySet());
            List<JobRow> fresh = new ArrayList<>();
            List<JobRow> known = new ArrayList<>();
            left.forEach((id, ofJob) -> {
                JobRow before = there.get(id);
                JobRow row = (before == null ? JobRow.unknown(id) : before).after(ofJob);
                if (before == null) {
                    fresh.add(row);
                } else if (!row.equals(before)) {
                    known.add(row);
                }
                if (row.forgotten()) {
                    forgotten.put(id, row);
                }
            });
            update(connection, known);
            left = insert(connection, fresh, left, replyPartition);
        }
        saveRequests(connection, changes);
        // a change may come after the command to forget the job, because it is in another partition
        Retention.forget(connection, List.copyOf(forgotten.values()));
    }

    private static Map<JobId, JobRow> load(Connection connection, Settings.LedgerKind kind, Collection<JobId> ids)
            throws SQLException {
        // SQLite needs no lock, because it has only one writer at a time
        String lock = kind == Settings.LedgerKind.POSTGRESQL ? " ORDER BY id FOR UPDATE" : "";
        Map<JobId, JobRow> rows = new HashMap<>();
        for (JobRow row : find(connection, WITHOUT_OUTCOME, ids, lock, Rows::read)) {
            rows.put(row.id(), row);
        }
        return rows;
    }

    public static List<JobRow> find(Connection connection, Collection<JobId> ids) throws SQLException {
        return find(connection, WITHOUT_OUTCOME, ids, "", Rows::read);
    }

    /** Converts a row of the result. */
    interface Reader {
        JobRow read(ResultSet row) throws SQLException;
    }

    static List<JobRow> find(Connection connection, String columns, Collection<JobId> ids, String suffix, Reader reader)
            throws SQLException {
        List<JobRow> rows = new ArrayList<>();
        List<JobId> all = List.copyOf(ids);
        for (int from = 0; from < all.size(); ) {
            int size = SIZES[0];
            for (int larger : SIZES) {
                size = size < all.size() - from ? larger : size;
            }
            List<JobId> some = all.subList(from, Math.min(all.size(), from + size));
            String places = "?, ".repeat(size - 1) + "?";
            try (PreparedStatement select = connection.prepareStatement(
                    "SELECT " + columns + " FROM jobs WHERE id IN (" + places + ")" + suffix)) {
                for (int i = 0; i < size; i++) {
                    select.setString(
                            i + 1, some.get(Math.min(i, some.size() - 1)).value());
                }
                try (ResultSet found = select.executeQuery()) {
                    while (found.next()) {
                        rows.add(reader.read(found));
                    }
                }
            }
            from += some.size();
        }
        return rows;
    }

    /** Updates rows. If a row was loaded without its ending, the stored ending stays. */
    public static void update(Connection connection, List<JobRow> rows) throws SQLException {
        try (PreparedStatement open = connection.prepareStatement(UPDATE_OPEN);
                PreparedStatement ended = connection.prepareStatement(UPDATE)) {
            boolean anyOpen = false;
            boolean anyEnded = false;
            for (JobRow row : rows) {
                JobRow.Ending ending = row.ending();
                if (ending == null) {
                    int next = write(open, row);
                    open.setString(next, row.id().value());
                    open.addBatch();
                    anyOpen = true;
                } else {
                    int next = writeEnding(ended, write(ended, row), ending);
                    ended.setString(next, row.id().value());
                    ended.addBatch();
                    anyEnded = true;
                }
            }
            if (anyOpen) {
                open.executeBatch();
            }
            if (anyEnded) {
                ended.executeBatch();
            }
        }
    }

    /**
     * Inserts rows.
     *
     * @return the changes of rows that were not inserted, because another projector may have inserted them
     */
    private static SortedMap<JobId, List<JobRow.Change>> insert(
            Connection connection,
            List<JobRow> rows,
            Map<JobId, List<JobRow.Change>> changes,
            ToIntFunction<JobId> replyPartition)
            throws SQLException {
        TreeMap<JobId, List<JobRow.Change>> again = new TreeMap<>(Projection.BY_VALUE);
        if (rows.isEmpty()) {
            return again;
        }
        try (PreparedStatement insert = connection.prepareStatement(INSERT)) {
            for (JobRow row : rows) {
                int next = write(insert, row);
                next = writeEnding(insert, next, row.ending());
                insert.setString(next, row.id().value());
                insert.setInt(next + 1, replyPartition.applyAsInt(row.id()));
                insert.addBatch();
            }
            int[] inserted = insert.executeBatch();
            for (int i = 0; i < inserted.length; i++) {
                // a driver that rewrites a batch (reWriteBatchedInserts) does not report which rows it inserted, so
                // these changes are applied again; a second merge of a change into its row has no effect
                if (inserted[i] != 1) {
                    JobId id = rows.get(i).id();
                    again.put(id, changes.getOrDefault(id, List.of()));
                }
            }
        }
        return again;
    }

    private static void saveRequests(Connection connection, Map<JobId, List<JobRow.Change>> changes)
            throws SQLException {
        try (PreparedStatement insert = connection.prepareStatement(
                "INSERT INTO requests (id, body_hash, document) VALUES (?, ?, ?) ON CONFLICT DO NOTHING")) {
            boolean any = false;
            for (Map.Entry<JobId, List<JobRow.Change>> ofJob : changes.entrySet()) {
                for (JobRow.Change change : ofJob.getValue()) {
                    if (change instanceof JobRow.Change.Submitted(Submission submission, String document)) {
                        insert.setString(1, ofJob.getKey().value());
                        insert.setString(2, submission.bodyHash());
                        Columns.set(insert, 3, document);
                        insert.addBatch();
                        any = true;
                    }
                }
            }
            if (any) {
                insert.executeBatch();
            }
        }
    }

    /**
     * Sets the parameters for a row.
     *
     * @return the index of the next parameter
     */
    private static int write(PreparedStatement statement, JobRow row) throws SQLException {
        Submission record = row.submissions().chosen().orElse(null);
        JobTimeline timeline = row.timeline();
        RecordPlace place = record == null ? null : record.stamp().place();
        RecordPlace started = timeline.startedRecord();
        int i = 1;
        Columns.set(
                statement,
                i++,
                record == null || row.forgotten() ? null : (Long) record.stamp().millis());
        Columns.set(statement, i++, place == null ? null : place.topic());
        Columns.set(statement, i++, place == null ? null : (Integer) place.partition());
        Columns.set(statement, i++, place == null ? null : (Long) place.offset());
        Columns.set(statement, i++, record == null ? null : record.task().wireName());
        Columns.set(
                statement,
                i++,
                record == null ? null : (Integer) record.priority().rank());
        Columns.set(statement, i++, record == null ? null : record.tenant());
        Columns.set(statement, i++, record == null ? null : record.model());
        Columns.set(statement, i++, record == null ? null : record.deadlineMillis());
        Columns.set(statement, i++, row.submissions().toJson());
        Columns.set(statement, i++, row.cancelMillis());
        statement.setString(i++, row.status().wireName());
        statement.setInt(i++, timeline.reading().attempt());
        Columns.set(statement, i++, timeline.reading().run());
        statement.setLong(i++, timeline.appliedOffset());
        Columns.set(statement, i++, timeline.firstOffset());
        Columns.set(statement, i++, started == null ? null : started.topic());
        Columns.set(statement, i++, started == null ? null : (Integer) started.partition());
        Columns.set(statement, i++, started == null ? null : (Long) started.offset());
        Columns.set(statement, i++, timeline.startedMillis());
        Columns.set(statement, i++, timeline.finishedMillis());
        statement.setInt(i++, timeline.attempts());
        statement.setString(i++, timeline.runs().toText());
        Columns.set(statement, i++, timeline.node());
        Columns.set(statement, i++, timeline.backend());
        Columns.set(statement, i++, timeline.model());
        Columns.set(statement, i++, timeline.outcomeOffset());
        Columns.set(statement, i++, row.overdueMillis());
        Columns.set(statement, i++, stubMillis(row));
        statement.setInt(i++, row.forgotten() ? 1 : 0);
        return i;
    }

    /**
     * Returns the time of the newest content of a row that has neither a record nor an outcome; null for any other row.
     * The retention of such a row begins at this time.
     */
    private static @Nullable Long stubMillis(JobRow row) {
        if (row.submissions().chosen().isPresent() || row.timeline().finishedMillis() != null) {
            return null;
        }
        long last = row.cancelMillis() == null ? 0 : row.cancelMillis();
        Long started = row.timeline().startedMillis();
        last = Math.max(last, started == null ? 0 : started);
        for (var struck : row.submissions().refused()) {
            last = Math.max(last, struck.millis());
        }
        for (var deferred : row.submissions().deferred()) {
            last = Math.max(last, deferred.stamp().millis());
        }
        return last;
    }

    private static int writeEnding(PreparedStatement statement, int index, JobRow.@Nullable Ending ending)
            throws SQLException {
        Columns.set(statement, index, ending == null ? null : ending.error());
        Columns.set(statement, index + 1, ending == null ? null : ending.usage());
        Columns.set(statement, index + 2, ending == null ? null : ending.event());
        return index + 3;
    }

    /** Returns the row without its ending. */
    public static JobRow read(ResultSet row) throws SQLException {
        String run = row.getString("run");
        JobState.Status status = JobState.Status.valueOf(row.getString("status").toUpperCase(Locale.ROOT));
        EventMark.Kind outcome = EventMark.Kind.of(status.wireName())
                .filter(EventMark.Kind::isOutcome)
                .orElse(null);
        String startedTopic = row.getString("named_topic");
        RecordPlace started = startedTopic == null
                ? null
                : new RecordPlace(startedTopic, row.getInt("named_partition"), row.getLong("named_offset"));
        JobTimeline timeline = new JobTimeline(
                new Reading(row.getInt("attempt"), run, outcome),
                row.getLong("applied_offset"),
                Columns.number(row, "first_offset"),
                started,
                Columns.number(row, "started_ms"),
                Columns.number(row, "finished_ms"),
                row.getInt("attempts"),
                RunStarts.ofText(row.getString("run_starts")),
                row.getString("node"),
                row.getString("backend"),
                row.getString("model"),
                Columns.number(row, "outcome_offset"));
        return new JobRow(
                new JobId(row.getString("id")),
                Submissions.ofJson(row.getString("arrivals")),
                Columns.number(row, "cancel_ms"),
                timeline,
                null,
                row.getInt("forgotten") != 0);
    }
}
