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
 * The queries of the ledger. Each is served by one index, from its beginning, and touches no more rows than it is
 * allowed to return (a list with several filters: see {@link #list}).
 */
public final class Queries {
    /** The highest queue position that is counted exactly. */
    public static final int FARTHEST_PLACE = 1_000;
    /**
     * How many rows a list reads for a page, at most, where one of its filters has no index together with the other.
     */
    private static final int MOST_LOOKED_THROUGH = 20_000;

    /** A larger outcome is read by itself, when there is memory for it. */
    private static final int SMALL_OUTCOME = 16_384;

    private static final String WITH_OUTCOME = Rows.WITHOUT_OUTCOME
            + ", CASE WHEN octet_length(outcome) <= %d THEN outcome END AS outcome".formatted(SMALL_OUTCOME);

    private Queries() {}

    /** The bytes of a job's outcome; 0 where none is kept. */
    public static long outcomeBytes(Connection connection, JobId id) throws SQLException {
        try (PreparedStatement select =
                connection.prepareStatement("SELECT octet_length(outcome) FROM jobs WHERE id = ?")) {
            select.setString(1, id.value());
            try (ResultSet row = select.executeQuery()) {
                return row.next() ? row.getLong(1) : 0;
            }
        }
    }

    /** A job's outcome, whatever its size; empty where none is kept. */
    public static String outcome(Connection connection, JobId id) throws SQLException {
        try (PreparedStatement select = connection.prepareStatement("SELECT outcome FROM jobs WHERE id = ?")) {
            select.setString(1, id.value());
            try (ResultSet row = select.executeQuery()) {
                String outcome = row.next() ? row.getString(1) : null;
                return outcome == null ? "" : outcome;
            }
        }
    }

    /** Jobs, each with its outcome where that is small. */
    public static List<JobRow> findWithOutcome(Connection connection, Collection<JobId> ids) throws SQLException {
        return Rows.find(connection, WITH_OUTCOME, ids, "", Queries::withEnding);
    }

    private static JobRow withEnding(ResultSet row) throws SQLException {
        String event = row.getString("outcome");
        return withEnding(row, event == null ? "" : event);
    }

    private static JobRow withEnding(ResultSet row, String event) throws SQLException {
        JobRow read = Rows.read(row);
        boolean ended = read.life().finishedMillis() != null;
        JobRow.Ending ending = ended ? new JobRow.Ending(event, row.getString("error"), row.getString("usage")) : null;
        return new JobRow(read.id(), read.arrivals(), read.cancelMillis(), read.life(), ending, read.forgotten());
    }

    /**
     * The jobs that a list shows; all given filters must hold.
     *
     * @param status null: any
     * @param model as jobs show it; null: any
     * @param node the one of the last attempt; null: any
     * @param code the code of the job's error; null: any
     * @param since created at this time or later; null: any
     * @param until created before this time; null: any
     * @param metadata pairs that the job has
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

        /** A refused record has no tenant and no node. */
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

    /** Where the next page begins: behind this job. */
    public record Cursor(long createdMillis, String id) {
        private static final Pattern FORM = Pattern.compile("(\\d{1,18})\\.([A-Za-z0-9._:-]{1,128})");

        @Override
        public String toString() {
            return createdMillis + "." + id;
        }

        /** Empty where the text is no cursor of this list. */
        public static Optional<Cursor> parse(String text) {
            Matcher matcher = FORM.matcher(text);
            return matcher.matches()
                    ? Optional.of(new Cursor(Long.parseLong(matcher.group(1)), matcher.group(2)))
                    : Optional.empty();
        }
    }

    /** @param next null: there are no more */
    public record Page(List<JobRow> rows, @Nullable Cursor next) {}

    /**
     * With one filter an index contains just those rows. With several, the index of the first filter is read until the
     * page is full or the limit of rows is reached; then the page is short, and there is a next one.
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
        // an id that has only refused records was never created
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

    /** The cursor, or the filter's own end where that is earlier: no id is before the empty one. */
    private static Cursor begin(Filter filter, @Nullable Cursor after) {
        Cursor until = new Cursor(
                filter.until() == null ? Long.MAX_VALUE : filter.until().toEpochMilli(), "");
        return after == null || after.createdMillis() >= until.createdMillis() ? until : after;
    }

    /** How many queued jobs go before this one; {@link #FARTHEST_PLACE} stands for that many or more. */
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

    /** How many jobs have ended since then; {@link #FARTHEST_PLACE} at most. */
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

    /** Jobs with a cancel command that have not ended. */
    public static List<JobRow> cancelled(Connection connection, int limit) throws SQLException {
        return rows(
                connection,
                "cancel_ms IS NOT NULL AND finished_ms IS NULL AND created_ms IS NOT NULL ORDER BY cancel_ms LIMIT ?",
                limit);
    }

    /** Jobs past their deadline that have not ended. */
    public static List<JobRow> expired(Connection connection, long nowMillis, int limit) throws SQLException {
        return rows(
                connection,
                "deadline_ms IS NOT NULL AND finished_ms IS NULL AND created_ms IS NOT NULL AND deadline_ms <= ? ORDER BY deadline_ms LIMIT ?",
                nowMillis,
                limit);
    }

    /** Running jobs whose time was over by then. */
    public static List<JobRow> overdue(Connection connection, long millis, int limit) throws SQLException {
        return rows(
                connection, "overdue_ms IS NOT NULL AND overdue_ms <= ? ORDER BY overdue_ms LIMIT ?", millis, limit);
    }

    /**
     * Open jobs whose first record lies between two offsets, in their order; the jobs at the offsets themselves left
     * out.
     */
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

    /** Jobs whose retention is over. */
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
