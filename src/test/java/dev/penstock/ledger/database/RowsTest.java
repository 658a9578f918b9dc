package dev.penstock.ledger.database;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.JobId;
import dev.penstock.ledger.row.JobRow;
import dev.penstock.ledger.row.Projection;
import dev.penstock.settings.Settings;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RowsTest {
    @TempDir
    private Path folder;

    /** PostgreSQL's driver with reWriteBatchedInserts=true reports SUCCESS_NO_INFO for every row of a batch. */
    @Test
    void a_driver_that_does_not_say_which_rows_were_inserted_loses_none() throws Exception {
        LedgerDatabase database = TestLedgers.sqlite(folder.resolve("ledger.db"));

        database.write(connection -> {
            Rows.apply(silent(connection), database.kind(), changes("mine", "both", 2), _ -> 0);
            return null;
        });

        List<JobRow> rows =
                database.write(connection -> Rows.find(connection, List.of(new JobId("mine"), new JobId("both"))));
        assertThat(rows)
                .as("each row with the records of both who wrote")
                .extracting(row -> row.id() + " " + row.submissions().records().size())
                .containsExactlyInAnyOrder("mine 1", "both 2");
    }

    @Test
    void a_forgotten_job_has_no_content_whatever_comes_later() throws Exception {
        LedgerDatabase database = TestLedgers.sqlite(folder.resolve("ledger.db"));
        JobId id = new JobId("gone");
        apply(database, id, submitted(1));
        assertThat(request(database, id)).isPresent();

        apply(database, id, new JobRow.Change.Forget(5_000));

        assertThat(only(database, id).state()).isEmpty();
        assertThat(request(database, id)).isEmpty();
        apply(database, id, submitted(2));
        assertThat(only(database, id).state()).isEmpty();
        assertThat(only(database, id).submissions().records()).hasSize(2);
        assertThat(request(database, id)).isEmpty();
    }

    private static void apply(LedgerDatabase database, JobId id, JobRow.Change change) throws Exception {
        database.write(connection -> {
            TreeMap<JobId, List<JobRow.Change>> changes = new TreeMap<>(Projection.BY_VALUE);
            changes.put(id, List.of(change));
            Rows.apply(connection, database.kind(), changes, _ -> 0);
            return null;
        });
    }

    private static JobRow only(LedgerDatabase database, JobId id) throws Exception {
        return database.write(connection -> Rows.find(connection, List.of(id))).getFirst();
    }

    private static Optional<String> request(LedgerDatabase database, JobId id) throws Exception {
        return database.write(connection -> Queries.request(connection, id, "hash"));
    }

    private static SortedMap<JobId, List<JobRow.Change>> changes(String one, String other, long offset) {
        TreeMap<JobId, List<JobRow.Change>> changes = new TreeMap<>(Projection.BY_VALUE);
        changes.put(new JobId(one), List.of(submitted(offset)));
        changes.put(new JobId(other), List.of(submitted(offset + 1)));
        return changes;
    }

    private static JobRow.Change submitted(long offset) {
        return SubmittedJob.at("prompt-jobs", 0, offset, offset);
    }

    /** Another projector writes one of the rows between the read and the insert, and no batch reports its result. */
    private static Connection silent(Connection connection) {
        boolean[] another = {false};
        return (Connection) proxy(Connection.class, connection, (method, result) -> {
            if (!method.equals("prepareStatement")) {
                return result;
            }
            return proxy(PreparedStatement.class, result, (call, done) -> {
                if (call.equals("executeQuery") && !another[0]) {
                    another[0] = true;
                    TreeMap<JobId, List<JobRow.Change>> theirs = new TreeMap<>(Projection.BY_VALUE);
                    theirs.put(new JobId("both"), List.of(submitted(100)));
                    Rows.apply(connection, Settings.LedgerKind.SQLITE, theirs, _ -> 0);
                }
                if (call.equals("executeBatch")) {
                    int[] counts = (int[]) done;
                    Arrays.fill(counts, Statement.SUCCESS_NO_INFO);
                }
                return done;
            });
        });
    }

    private interface After {
        Object call(String method, Object result) throws SQLException;
    }

    private static Object proxy(Class<?> type, Object target, After after) {
        return Proxy.newProxyInstance(
                RowsTest.class.getClassLoader(), new Class<?>[] {type}, (_, method, arguments) -> {
                    try {
                        return after.call(method.getName(), method.invoke(target, arguments));
                    } catch (InvocationTargetException e) {
                        throw e.getTargetException();
                    }
                });
    }
}
