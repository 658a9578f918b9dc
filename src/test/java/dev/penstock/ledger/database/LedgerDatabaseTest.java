package dev.penstock.ledger.database;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.penstock.settings.Settings;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import javax.sql.DataSource;
import org.apache.kafka.common.TopicPartition;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Several threads of one process write to the ledger's file. */
class LedgerDatabaseTest {
    private static final TopicPartition PARTITION = new TopicPartition("prompt-jobs", 0);
    private static final int BUSY = 5;

    @TempDir
    private Path folder;

    private Path file;
    private LedgerDatabase database;

    @BeforeEach
    void open() {
        file = folder.resolve("ledger.db");
        database = TestLedgers.sqlite(file);
    }

    /** Otherwise a commit between its first read and its first write would make it fail at once. */
    @Test
    void a_transaction_that_only_looks_has_the_file_already() throws Exception {
        try (Connection other = impatient();
                Statement statement = other.createStatement()) {
            int refused = database.write(connection -> {
                Positions.all(connection);
                try {
                    statement.execute("BEGIN IMMEDIATE");
                    return 0;
                } catch (SQLException e) {
                    return e.getErrorCode();
                }
            });

            assertThat(refused).isEqualTo(BUSY);
        }
    }

    /** The driver waits in native code, which would hold the carrier of a virtual thread. */
    @Test
    void the_file_is_read_by_threads_of_the_platform() throws Exception {
        assertThat(database.<Boolean>read(_ -> Thread.currentThread().isVirtual()))
                .isFalse();
        assertThat(database.<String>read(_ -> Thread.currentThread().getName())).startsWith("penstock-ledger-read-");
    }

    @Test
    void who_meets_another_tries_again_and_the_ledger_stays() throws Exception {
        AtomicInteger tries = new AtomicInteger();

        int result = database.write(_ -> {
            if (tries.incrementAndGet() < 3) {
                throw new SQLException("database is locked", null, BUSY);
            }
            return tries.get();
        });

        assertThat(result).isEqualTo(3);
        assertThat(database.isThere()).isTrue();
    }

    @Test
    void whatever_else_fails_takes_the_ledger_away() {
        assertThatThrownBy(() -> database.write(_ -> {
                    throw new SQLException("disk I/O error", null, 10);
                }))
                .isInstanceOf(LedgerDatabase.Unavailable.class);
        assertThat(database.isThere()).isFalse();
    }

    @Test
    void a_value_that_is_refused_leaves_the_ledger_there() {
        assertThatThrownBy(() -> database.write(_ -> {
                    throw new SQLException("[SQLITE_CONSTRAINT] ('a secret prompt')", null, 19);
                }))
                .isInstanceOf(LedgerDatabase.Unwritable.class)
                .hasNoCause()
                .hasMessageNotContaining("secret");
        assertThat(database.isThere()).isTrue();
    }

    @Test
    void nobody_but_the_owner_reads_the_files() throws Exception {
        Path fresh = folder.resolve("data").resolve("penstock.db");
        LedgerDatabase opened = new LedgerDatabase(
                new Settings.Ledger(Settings.LedgerKind.SQLITE, Duration.ofHours(24), fresh), null, null);
        opened.open();
        LedgerDatabase written = TestLedgers.sqlite(fresh);

        Set<String> permissions = written.write(connection -> {
            try (Statement statement = connection.createStatement();
                    Stream<Path> files = Files.list(fresh.resolveSibling("."))) {
                statement.execute("INSERT INTO origin (cluster_id) VALUES ('x')");
                return files.map(LedgerDatabaseTest::permissions).collect(Collectors.toSet());
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        });

        assertThat(permissions)
                .containsExactlyInAnyOrder(
                        "penstock.db rw-------",
                        "penstock.db-wal rw-------",
                        "penstock.db-shm rw-------",
                        "penstock.db.lock rw-------");
    }

    private static String permissions(Path file) {
        try {
            return file.getFileName() + " " + PosixFilePermissions.toString(Files.getPosixFilePermissions(file));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /**
     * A pool returns the same connection again, and the driver believes that a transaction has begun that could not
     * begin.
     */
    @Test
    void a_connection_that_could_not_begin_begins_the_next_time() throws Exception {
        try (Connection holder = impatient();
                Connection pooled = impatient();
                Statement held = holder.createStatement()) {
            held.execute("BEGIN IMMEDIATE");
            AtomicInteger asked = new AtomicInteger();
            LedgerDatabase pool = over(pooled, () -> {
                if (asked.incrementAndGet() == 2) {
                    held.execute("COMMIT");
                }
            });

            assertThatThrownBy(() -> pool.write(connection -> {
                        Positions.begin(connection, Map.of(PARTITION, 7L), Map.of());
                        throw new SQLException("disk I/O error", null, 10);
                    }))
                    .isInstanceOf(LedgerDatabase.Unavailable.class);

            assertThat(asked).hasValue(2);
            assertThat(database.write(Positions::all)).isEmpty();
        }
    }

    private Connection impatient() throws SQLException {
        return DriverManager.getConnection(
                TestLedgers.sqliteUrl(file).replaceFirst("busy_timeout=\\d+", "busy_timeout=0"));
    }

    private interface Request {
        void now() throws SQLException;
    }

    /** A source of one connection, which closing does not close. */
    private LedgerDatabase over(Connection connection, Request asked) {
        ClassLoader loader = LedgerDatabaseTest.class.getClassLoader();
        Object lent = Proxy.newProxyInstance(
                loader,
                new Class<?>[] {Connection.class},
                (_, method, arguments) ->
                        method.getName().equals("close") ? null : invoke(connection, method, arguments));
        Object pool = Proxy.newProxyInstance(loader, new Class<?>[] {DataSource.class}, (_, _, _) -> {
            asked.now();
            return lent;
        });
        return new LedgerDatabase(
                new Settings.Ledger(Settings.LedgerKind.SQLITE, Duration.ofHours(24), file), (DataSource) pool, null);
    }

    private static Object invoke(Object target, Method method, Object[] arguments) throws Throwable {
        try {
            return method.invoke(target, arguments);
        } catch (InvocationTargetException e) {
            throw e.getTargetException();
        }
    }
}
