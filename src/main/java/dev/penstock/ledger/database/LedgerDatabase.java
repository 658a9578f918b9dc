package dev.penstock.ledger.database;

import dev.penstock.settings.Settings;
import dev.penstock.wire.OwnerOnly;
import io.agroal.api.AgroalDataSource;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executor;
import java.util.concurrent.Executors;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import javax.sql.DataSource;
import org.flywaydb.core.Flyway;
import org.flywaydb.core.api.FlywayException;
import org.jboss.logging.Logger;
import org.jspecify.annotations.Nullable;

/**
 * The database that was chosen at the start. Only the threads that write find out whether it is available. While it is
 * unavailable, each reader fails at once and waits for no connection.
 */
public class LedgerDatabase {
    private static final Logger LOG = Logger.getLogger(LedgerDatabase.class);
    private static final Duration READ_WITHIN = Duration.ofSeconds(2);
    /** How long a transaction is repeated if it conflicts with other transactions. */
    private static final Duration WRITE_WITHIN = Duration.ofSeconds(10);
    /** The number is smaller than the number of connections in the pool, because writers need connections too. */
    private static final int SQLITE_READERS = 4;

    private static final int IDLE_READER_SECONDS = 10;

    private final Settings.Ledger settings;
    private final @Nullable DataSource source;
    private final @Nullable Flyway flyway;
    /** If one of its threads dies, the executor replaces it. */
    private final Executor readers;

    private volatile boolean there;
    private @Nullable FileLock fileLock;

    /**
     * @param source the connections; null if there is no ledger
     * @param flyway the migrations; null if there is no ledger
     */
    LedgerDatabase(Settings.Ledger settings, @Nullable DataSource source, @Nullable Flyway flyway) {
        this.settings = settings;
        this.source = source;
        this.flyway = flyway;
        // platform threads, because SQLite's driver waits in native code with a monitor locked: a virtual thread would
        // block its carrier
        readers = settings.kind() == Settings.LedgerKind.SQLITE
                ? sqliteReaders()
                : Executors.newThreadPerTaskExecutor(
                        Thread.ofVirtual().name("ledger-read-", 0).factory());
    }

    /** Idle threads end, because each one costs memory. */
    private static Executor sqliteReaders() {
        ThreadPoolExecutor readers = new ThreadPoolExecutor(
                SQLITE_READERS,
                SQLITE_READERS,
                IDLE_READER_SECONDS,
                TimeUnit.SECONDS,
                new LinkedBlockingQueue<>(),
                Thread.ofPlatform().daemon().name("penstock-ledger-read-", 0).factory());
        readers.allowCoreThreadTimeOut(true);
        return readers;
    }

    /**
     * The database is unavailable, or there is no ledger; the message distinguishes the two. The exception has no
     * cause, because a driver's message may contain prompts and answers.
     */
    public static class Unavailable extends Exception {
        private final String why;

        public Unavailable(String message, @Nullable Throwable why) {
            super(message);
            this.why = why == null ? message : SqlFailure.words(why);
        }

        /** Returns the reason. It contains no value of a query or of a row. */
        public final String why() {
            return why;
        }
    }

    /** The database refuses a value, but it is available. */
    public static final class Unwritable extends Unavailable {
        Unwritable(SQLException why) {
            super("the ledger does not take a value", why);
        }
    }

    /** A task that uses a connection. */
    @FunctionalInterface
    public interface Work<T extends @Nullable Object> {
        T with(Connection connection) throws SQLException;
    }

    public Settings.LedgerKind kind() {
        return settings.kind();
    }

    /**
     * Locks the SQLite file, so that no second process uses it.
     *
     * @return the file's member name in the ledgers' group, the same for each process that opens the file; empty if the
     *     database serves many replicas
     */
    public String open() throws Unusable {
        if (settings.kind() != Settings.LedgerKind.SQLITE) {
            return "";
        }
        Path file = settings.sqliteFile().toAbsolutePath();
        try {
            Files.createDirectories(file.resolveSibling("."));
            FileChannel channel = OwnerOnly.open(file.resolveSibling(file.getFileName() + ".lock"));
            fileLock = channel.tryLock();
            if (fileLock != null) {
                // SQLite creates its -wal and -shm files with the permissions of this file
                OwnerOnly.open(file).close();
                return name(channel);
            }
        } catch (OverlappingFileLockException _) {
            fileLock = null;
        } catch (IOException e) {
            throw new Unusable(
                    "the ledger's file %s cannot be made: %s. Set penstock.ledger.path to another place, or penstock.ledger.kind to none"
                            .formatted(file, e));
        }
        throw new Unusable(
                "the ledger %s is in use by another Penstock: SQLite serves one replica. For more than one set penstock.ledger.kind to postgresql"
                        .formatted(file));
    }

    private static String name(FileChannel channel) throws IOException {
        ByteBuffer known = ByteBuffer.allocate(64);
        channel.read(known, 0);
        String name = new String(known.array(), 0, known.position(), StandardCharsets.US_ASCII);
        if (name.isEmpty()) {
            name = "sqlite-" + UUID.randomUUID();
            channel.write(ByteBuffer.wrap(name.getBytes(StandardCharsets.US_ASCII)), 0);
        }
        return name;
    }

    /** The ledger cannot be used until the operator acts. The message contains the remedy. */
    public static final class Unusable extends Exception {
        public Unusable(String message) {
            super(message);
        }
    }

    /**
     * Brings the tables up to date. After that, the database is available. If the database becomes unavailable during a
     * migration, Flyway (12.0) does not return its connections, and the pool would run out of connections. So Flyway
     * runs only if the database answers, and after a failure the pool closes the connections that Flyway keeps.
     */
    public void migrate() throws Unavailable {
        write(connection -> {
            try (Statement statement = connection.createStatement()) {
                return statement.execute("SELECT 1");
            }
        });
        there = false;
        try {
            if (flyway != null) {
                flyway.migrate();
            }
        } catch (FlywayException e) {
            if (source instanceof AgroalDataSource pool) {
                pool.flush(AgroalDataSource.FlushMode.ALL);
            }
            throw gone(e);
        }
        write(Positions::all);
    }

    /** Throws at once if the database is unavailable. */
    public void mustBeThere() throws Unavailable {
        if (source == null) {
            throw new Unavailable("there is no ledger (penstock.ledger.kind is none)", null);
        }
        if (!there) {
            throw new Unavailable("the ledger is away", null);
        }
    }

    /** Reads from the database within two seconds. */
    public <T extends @Nullable Object> T read(Work<T> work) throws Unavailable, InterruptedException {
        mustBeThere();
        CompletableFuture<T> answer = new CompletableFuture<>();
        readers.execute(() -> {
            if (answer.isDone()) {
                return;
            }
            try (Connection connection = connection()) {
                answer.complete(work.with(connection));
            } catch (SQLException | RuntimeException | Error e) {
                answer.completeExceptionally(e);
            }
        });
        try {
            return answer.get(READ_WITHIN.toMillis(), TimeUnit.MILLISECONDS);
        } catch (TimeoutException e) {
            answer.cancel(false);
            throw new Unavailable("the ledger does not answer in time", e);
        } catch (ExecutionException e) {
            throw new Unavailable("the ledger cannot be read", e.getCause());
        }
    }

    /**
     * Runs a transaction, and repeats it if it conflicts with another transaction. Only the threads that maintain the
     * ledger call this method. If other processes keep the database busy, the database still counts as available, so
     * readers continue.
     *
     * @throws Unwritable the database refuses a value; it stays available
     */
    public <T extends @Nullable Object> T write(Work<T> work) throws Unavailable {
        long until = System.nanoTime() + WRITE_WITHIN.toNanos();
        while (true) {
            try {
                T result = writeOnce(work);
                there = true;
                return result;
            } catch (SQLException e) {
                SqlFailure failure = SqlFailure.of(e);
                switch (failure.kind()) {
                    case DATA -> throw new Unwritable(e);
                    case AWAY -> throw gone(e);
                    case CONFLICT -> {
                        if (System.nanoTime() - until >= 0) {
                            throw new Unavailable("the ledger is busy: other processes write to it all the time", e);
                        }
                        LOG.debugf("another transaction wrote at the same moment: %s", failure.words());
                    }
                }
            }
        }
    }

    private <T extends @Nullable Object> T writeOnce(Work<T> work) throws SQLException {
        try (Connection connection = connection()) {
            boolean done = false;
            try {
                connection.setAutoCommit(false);
                T result = work.with(connection);
                if (settings.kind() != Settings.LedgerKind.SQLITE) {
                    connection.commit();
                }
                // setAutoCommit(true) commits in SQLite. Its commit() also begins the next transaction, and could throw
                // after the commit has succeeded
                connection.setAutoCommit(true);
                done = true;
                return result;
            } finally {
                if (!done) {
                    rollBack(connection);
                }
            }
        }
    }

    private Connection connection() throws SQLException {
        if (source == null) {
            throw new SQLException("there is no ledger");
        }
        return source.getConnection();
    }

    /**
     * Rolls back even if the transaction could not begin. Otherwise SQLite's driver believes that the transaction has
     * begun, and never begins another one.
     */
    private static void rollBack(Connection connection) {
        try {
            connection.rollback();
        } catch (SQLException e) {
            LOG.debugf("a transaction could not be rolled back: %s", SqlFailure.words(e));
        }
        try {
            connection.setAutoCommit(true);
        } catch (SQLException e) {
            LOG.debugf("a transaction could not be ended: %s", SqlFailure.words(e));
        }
    }

    private Unavailable gone(Throwable why) {
        if (there) {
            LOG.warnf("the ledger is away: %s. Jobs and replies go on; polling answers 503", SqlFailure.words(why));
        }
        there = false;
        return new Unavailable("the ledger is away", why);
    }

    public boolean isThere() {
        return there;
    }
}
