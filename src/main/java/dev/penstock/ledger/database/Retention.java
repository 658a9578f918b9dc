package dev.penstock.ledger.database;

import dev.penstock.job.JobId;
import dev.penstock.ledger.row.JobRow;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.time.Duration;
import java.time.Instant;
import java.util.List;

/**
 * Deletes old jobs in small steps, so that no other transaction waits long. The retention of a job begins with its
 * outcome, so a job without an outcome is kept. The id, the body hash and the kind of the outcome are kept for at least
 * eight days. No record is kept for that long, so the ledger recognises a late duplicate.
 */
public final class Retention {
    private static final Duration KNOWN_FOR = Duration.ofDays(8);
    private static final int STEP = 500;

    private Retention() {}

    /**
     * Deletes one step of jobs.
     *
     * @return whether there may be more to delete
     */
    public static boolean step(LedgerDatabase database, Instant now, Duration retention)
            throws LedgerDatabase.Unavailable {
        long shownUntil = now.minus(retention).toEpochMilli();
        Duration known = retention.compareTo(KNOWN_FOR) > 0 ? retention : KNOWN_FOR;
        long knownUntil = now.minus(known).toEpochMilli();
        int forgotten = database.write(
                connection -> forget(connection, Queries.outlived(connection, database.kind(), shownUntil, STEP)));
        int erased = database.write(connection ->
                erase(connection, "finished_ms IS NOT NULL AND finished_ms < ?", "finished_ms", knownUntil));
        int stubs = database.write(
                connection -> erase(connection, "stub_ms IS NOT NULL AND stub_ms < ?", "stub_ms", knownUntil));
        return forgotten == STEP || erased == STEP || stubs == STEP;
    }

    /** Deletes the content of jobs. What identifies a late duplicate stays. */
    static int forget(Connection connection, List<JobRow> rows) throws SQLException {
        if (rows.isEmpty()) {
            return 0;
        }
        try (PreparedStatement slim = connection.prepareStatement(
                        "UPDATE jobs SET forgotten = 1, created_ms = NULL, arrivals = ?, asked_model = NULL, error = NULL, usage = NULL, outcome = NULL WHERE id = ?");
                PreparedStatement requests = connection.prepareStatement("DELETE FROM requests WHERE id = ?")) {
            for (JobRow row : rows) {
                JobId id = row.id();
                slim.setString(1, row.submissions().slim().toJson());
                slim.setString(2, id.value());
                slim.addBatch();
                requests.setString(1, id.value());
                requests.addBatch();
            }
            slim.executeBatch();
            requests.executeBatch();
        }
        return rows.size();
    }

    private static int erase(Connection connection, String where, String order, long before) throws SQLException {
        String some = "(SELECT id FROM jobs WHERE " + where + " ORDER BY " + order + " LIMIT " + STEP + ")";
        try (PreparedStatement requests = connection.prepareStatement("DELETE FROM requests WHERE id IN " + some);
                PreparedStatement jobs = connection.prepareStatement("DELETE FROM jobs WHERE id IN " + some)) {
            requests.setLong(1, before);
            requests.executeUpdate();
            jobs.setLong(1, before);
            return jobs.executeUpdate();
        }
    }
}
