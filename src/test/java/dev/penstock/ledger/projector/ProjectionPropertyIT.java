package dev.penstock.ledger.projector;

import dev.penstock.ledger.database.LedgerDatabase;
import dev.penstock.ledger.database.TestLedgers;
import dev.penstock.testkit.Postgres;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Runs many rounds of the property of {@link ProjectionPropertyTest}, against both databases. It also tests what a
 * database refuses, on the same server.
 */
class ProjectionPropertyIT {
    private static final int ROUNDS = 60;

    @TempDir
    private Path folder;

    @Test
    void in_sqlite() throws Exception {
        ProjectionPropertyTest.check(TestLedgers.sqlite(folder.resolve("ledger.db")), ROUNDS);
    }

    @Test
    void in_postgresql() throws Exception {
        try (Postgres postgres = Postgres.start("property")) {
            LedgerDatabase database = TestLedgers.postgres(postgres);
            ProjectionPropertyTest.check(database, ROUNDS);
            TestLedgers.empty(database);
            // last, since it adds a rule to a table
            new BatchWriterTest().inPostgresql(database);
        }
    }
}
