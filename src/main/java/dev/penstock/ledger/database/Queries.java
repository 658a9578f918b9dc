package dev.penstock.ledger.database;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.JobId;
import dev.penstock.job.JobState;
import dev.penstock.job.Priority;
import dev.penstock.ledger.row.JobRow;
import dev.penstock.ledger.row.Refusal;
import dev.penstock.settings.Settings;
import dev.penstock.wire.Json;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.kafka.common.TopicPartition;
import org.jspecify.annotations.Nullable;

/**
 * The queries of the ledger. Each query uses one index, and reads no more rows than it may return. Only {@link #list}
 * with several filters may read more rows.
 */
public final class Queries {
    /** The highest queue position that is counted exactly. */
    public static final int FARTHEST_PLACE = 1_000;
    /** The maximum number of rows that a list reads for one page if no index covers all its filters. */
    private static final int MOST_LOOKED_THROUGH = 20_000;

    /** An outcome with more bytes is read separately, when there is memory for it. */
    private static final int SMALL_OUTCOME = 16_384;

    private static final String WITH_OUTCOME = Rows.WITHOUT_OUTCOME
            + ", CASE WHEN octet_length(outcome) <= %d THEN outcome END AS outcome".formatted(SMALL_OUTCOME);

    private Queries() {}

    /** Returns the size of a job's outcome in bytes; 0 if the ledger keeps none. */
    public static long outcomeBytes(Connection connection, JobId id) throws SQLException {
        try (PreparedStatement select =
                connection.prepareStatement("SELECT octet_length(outcome) FROM jobs WHERE id = ?")) {
            select.setString(1, id.value());
            try (ResultSet row = select.executeQuery()) {
                return row.next() ? row.getLong(1) : 0;
            }
        }
    }

    /** Returns a job's outcome, whatever its size; empty if the ledger keeps none. */
    public static String outcome(Connection connection, JobId id) throws SQLException {
        try (PreparedStatement select = connection.prepareStatement("SELECT outcome FROM jobs WHERE id = ?")) {
            select.setString(1, id.value());
            try (ResultSet row = select.executeQuery()) {
                String outcome = row.next() ? row.getString(1) : null;
                return outcome == null ? "" : outcome;
            }
        }
    }

    /** Returns the jobs with these ids, each with its outcome if that is small. */
    public static List<JobRow> findWithOutcome(Connection connection, Collection<JobId> ids) throws SQLException {
        return Rows.find(connection, WITH_OUTCOME, ids, "", Queries::withEnding);
    }

    private static JobRow withEnding(ResultSet row) throws SQLException {
        String event = row.getString("outcome");
        return withEnding(row, event == null ? "" : event);
    }

    private static JobRow withEnding(ResultSet row, String event) throws SQLException {
        JobRow read = Rows.read(row);
        boolean ended = read.timeline().finishedMillis() != null;
        JobRow.Ending ending = ended ? new JobRow.Ending(event, row.getString("error"), row.getString("usage")) : null;
        return new JobRow(
                read.id(), read.submissions(), read.cancelMillis(), read.timeline(), ending, read.forgotten());
    }

    /**
     * Selects the jobs of a list. A job must satisfy every part that is set.
     *
     * @param status the status; null for any
     * @param tenant the tenant; null for any
     * @param model the model that the job's state shows; null for any
     * @param node the node of the last attempt; null for any
     * @param code the code of the job's error; null for any
     * @param since the job was created at this time or later; null for any
     * @param until the job was created before this time; null for any
     * @param metadata the job has all these pairs
     */
    public record Filter(
            JobState.@Nullable Status status,
            @Nullable String tenant,
            @Nullable String model,
            @Nullable String node,
            @Nullable String code,
            @Nullable Instant since,
            @Nullable Instant until,
            Map<String, String> metadata) {

        public Filter {
            metadata = Map.copyOf(metadata);
        }

        public Filter(JobState.@Nullable Status status, @Nullable String tenant, @Nullable String model) {
            this(status, tenant, model, null, null, null, null, Map.of());
        }

        private boolean fits(JobState state, @Nullable String error) {
            return (status == null || state.status() == status)
                    && (tenant == null || tenant.equals(state.tenant()))
                    && (model == null || model.equals(state.model()))
                    && (node == null || node.equals(state.node()))
                    && (code == null || code.equals(code(error)))
                    && state.metadata().entrySet().containsAll(metadata.entrySet());
        }

        /**
         * Returns whether a refused record satisfies the filter. A refused record has no tenant, model, node or
         * metadata.
         */
        private boolean fits(Refusal refusal) {
            JsonNode event = Json.parseLenient(refusal.event());
            return tenant == null
                    && model == null
                    && node == null
                    && metadata.isEmpty()
                    && (code == null
                            || (event != null
                                    && code.equals(code(event.path("error").toString()))));
        }

        private static @Nullable String code(@Nullable String error) {
            JsonNode document = error == null ? null : Json.parseLenient(error);
            return document == null ? null : document.path("code").asText();
        }
    }

    /** The last job of a page. The next page begins after this job. */
    public record Cursor(long createdMillis, String id) {
        private static final Pattern FORM = Pattern.compile("(\\d{1,18})\\.([A-Za-z0-9._:-]{1,128})");

        @Override
        public String toString() {
            return createdMillis + "." + id;
        }

        /** Parses a cursor; returns empty if the text is not a cursor. */
        public static Optional<Cursor> parse(String text) {
            Matcher matcher = FORM.matcher(text);
            return matcher.matches()
                    ? Optional.of(new Cursor(Long.parseLong(matcher.group(1)), matcher.group(2)))
                    : Optional.empty();
        }
    }

    /** @param next null if this is the last page */
    public record Page(List<JobRow> rows, @Nullable Cursor next) {}

    /**
     * Returns one page of jobs, newest first. With one filter, an index contains exactly the wanted rows. With several
     * filters, the method reads the index of one of them until the page is full or it has read the maximum of rows. In
     * the second case the page is short, and has a next page.
     */
    public static Page list(Connection connection, Filter filter, @Nullable Cursor after, int limit)
            throws SQLException {
        List<JobRow> page = new ArrayList<>();
        Cursor last = after;
        int looked = 0;
        while (looked < MOST_LOOKED_THROUGH) {
            int chunk = limit + 1 - page.size();
            try (PreparedStatement select = listing(connection, filter, last, chunk);
                    ResultSet rows = select.executeQuery()) {
                int read = 0;
                while (rows.next()) {
                    read++;
                    JobRow row = withEnding(rows, "");
                    if (fits(row, filter)) {
                        if (page.size() == limit) {
                            return new Page(page, last);
                        }
                        page.add(row);
                    }
                    last = new Cursor(rows.getLong("listed_ms"), rows.getString("id"));
                }
                looked += read;
                if (read < chunk) {
                    return new Page(page, null);
                }
            }
        }
        return new Page(page, last);
    }

    private static boolean fits(JobRow row, Filter filter) {
        String error = row.ending() == null ? null : row.ending().error();
        return filter.status() == JobState.Status.REJECTED
                ? row.rejected().filter(refusal -> filter.fits(refusal)).isPresent()
                : row.state().filter(state -> filter.fits(state, error)).isPresent();
    }

    private static PreparedStatement listing(Connection connection, Filter filter, @Nullable Cursor after, int limit)
            throws SQLException {
        String where = filter.status() != null
                ? "status = ? AND "
                : filter.model() != null
                        ? "COALESCE(model, asked_model) = ? AND "
                        : filter.tenant() != null ? "tenant = ? AND " : "";
        String value = filter.status() != null
                ? filter.status().wireName()
                : filter.model() != null ? filter.model() : filter.tenant();
        // an id with refused records only has no created_ms
        String time = filter.status() == JobState.Status.REJECTED ? "stub_ms" : "created_ms";
        PreparedStatement select = connection.prepareStatement("SELECT " + time + " AS listed_ms, "
                + Rows.WITHOUT_OUTCOME + " FROM jobs WHERE " + where
                + "TIME IS NOT NULL AND TIME >= ? AND (TIME, id) < (?, ?) ORDER BY TIME DESC, id DESC LIMIT ?"
                        .replace("TIME", time));
        Cursor from = begin(filter, after);
        int i = 1;
        if (value != null) {
            select.setString(i++, value);
        }
        select.setLong(
                i++, filter.since() == null ? Long.MIN_VALUE : filter.since().toEpochMilli());
        select.setLong(i++, from.createdMillis());
        select.setString(i++, from.id());
        select.setInt(i, limit);
        return select;
    }

    /**
     * Returns the cursor, or the end time of the filter as a cursor, whichever is earlier. The second cursor has the
     * empty id, because no id sorts before it.
     */
    private static Cursor begin(Filter filter, @Nullable Cursor after) {
        Cursor until = new Cursor(
                filter.until() == null ? Long.MAX_VALUE : filter.until().toEpochMilli(), "");
        return after == null || after.createdMillis() >= until.createdMillis() ? until : after;
    }

    /** Returns the number of queued jobs before this one, at most {@link #FARTHEST_PLACE}. */
    public static int placeInLine(Connection connection, Priority priority, long createdMillis, JobId id)
            throws SQLException {
        int before = 0;
        for (Priority higher : Priority.values()) {
            boolean same = higher == priority;
            if (higher.rank() > priority.rank() || before >= FARTHEST_PLACE) {
                break;
            }
            try (PreparedStatement count = connection.prepareStatement(
                    "SELECT count(*) FROM (SELECT 1 AS one FROM jobs WHERE status = 'queued' AND priority = ? AND created_ms IS NOT NULL AND (created_ms, id) < (?, ?) ORDER BY created_ms DESC, id DESC LIMIT ?) AS line")) {
                count.setInt(1, higher.rank());
                count.setLong(2, same ? createdMillis : Long.MAX_VALUE);
                count.setString(3, same ? id.value() : "");
                count.setInt(4, FARTHEST_PLACE - before);
                try (ResultSet row = count.executeQuery()) {
                    before += row.next() ? row.getInt(1) : 0;
                }
            }
        }
        return before;
    }

    /** Returns the number of jobs that ended after this time, at most {@link #FARTHEST_PLACE}. */
    public static int finishedSince(Connection connection, long millis) throws SQLException {
        try (PreparedStatement count = connection.prepareStatement(
                "SELECT count(*) FROM (SELECT 1 AS one FROM jobs WHERE finished_ms > ? LIMIT ?) AS done")) {
            count.setLong(1, millis);
            count.setInt(2, FARTHEST_PLACE);
            try (ResultSet row = count.executeQuery()) {
                return row.next() ? row.getInt(1) : 0;
            }
        }
    }

    /** Returns jobs that have a cancel command and have not ended. */
    public static List<JobRow> cancelled(Connection connection, int limit) throws SQLException {
        return rows(
                connection,
                "cancel_ms IS NOT NULL AND finished_ms IS NULL AND created_ms IS NOT NULL ORDER BY cancel_ms LIMIT ?",
                limit);
    }

    /** Returns jobs that are past their deadline and have not ended. */
    public static List<JobRow> expired(Connection connection, long nowMillis, int limit) throws SQLException {
        return rows(
                connection,
                "deadline_ms IS NOT NULL AND finished_ms IS NULL AND created_ms IS NOT NULL AND deadline_ms <= ? ORDER BY deadline_ms LIMIT ?",
                nowMillis,
                limit);
    }

    /** Returns running jobs that had exceeded their timeout at this time. */
    public static List<JobRow> overdue(Connection connection, long millis, int limit) throws SQLException {
        return rows(
                connection, "overdue_ms IS NOT NULL AND overdue_ms <= ? ORDER BY overdue_ms LIMIT ?", millis, limit);
    }

    /** Returns open jobs whose first record lies between two offsets, both excluded, in the order of the offsets. */
    public static List<JobRow> openBetween(
            Connection connection, TopicPartition partition, long after, long below, int limit) throws SQLException {
        try (PreparedStatement select = connection.prepareStatement(
                "SELECT " + Rows.WITHOUT_OUTCOME
                        + " FROM jobs WHERE finished_ms IS NULL AND created_ms IS NOT NULL AND record_topic = ? AND record_partition = ? AND record_offset > ? AND record_offset < ? ORDER BY record_offset LIMIT ?")) {
            select.setString(1, partition.topic());
            select.setInt(2, partition.partition());
            select.setLong(3, after);
            select.setLong(4, below);
            select.setInt(5, limit);
            return read(select);
        }
    }

    /** Returns jobs whose retention is over. */
    static List<JobRow> outlived(Connection connection, Settings.LedgerKind kind, long finishedBefore, int limit)
            throws SQLException {
        String lock = kind == Settings.LedgerKind.POSTGRESQL ? " FOR UPDATE SKIP LOCKED" : "";
        return rows(
                connection,
                "finished_ms IS NOT NULL AND forgotten = 0 AND finished_ms < ? ORDER BY finished_ms LIMIT ?" + lock,
                finishedBefore,
                limit);
    }

    public static Optional<String> request(Connection connection, JobId id, String bodyHash) throws SQLException {
        try (PreparedStatement select =
                connection.prepareStatement("SELECT document FROM requests WHERE id = ? AND body_hash = ?")) {
            select.setString(1, id.value());
            select.setString(2, bodyHash);
            try (ResultSet row = select.executeQuery()) {
                return row.next() ? Optional.of(row.getString(1)) : Optional.empty();
            }
        }
    }

    private static List<JobRow> rows(Connection connection, String where, long... parameters) throws SQLException {
        try (PreparedStatement select =
                connection.prepareStatement("SELECT " + Rows.WITHOUT_OUTCOME + " FROM jobs WHERE " + where)) {
            for (int i = 0; i < parameters.length; i++) {
                select.setLong(i + 1, parameters[i]);
            }
            return read(select);
        }
    }

    private static List<JobRow> read(PreparedStatement select) throws SQLException {
        List<JobRow> rows = new ArrayList<>();
        try (ResultSet found = select.executeQuery()) {
            while (found.next()) {
                rows.add(Rows.read(found));
            }
        }
        return rows;
    }
}
