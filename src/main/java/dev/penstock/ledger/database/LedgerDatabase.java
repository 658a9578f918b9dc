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
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import javax.sql.DataSource;
import org.flywaydb.core.Flyway;
import org.flywaydb.core.api.FlywayException;
import org.jboss.logging.Logger;
import org.jspecify.annotations.Nullable;

/**
 * The database that was chosen at start. Only the projector finds out whether the database is available. While it is
 * away, readers fail at once, and none of them waits for a connection.
 */
public class LedgerDatabase {
    private static final Logger LOG = Logger.getLogger(LedgerDatabase.class);
    private static final Duration READ_WITHIN = Duration.ofSeconds(2);
    /** After so many tries, a transaction that conflicts with another is not repeated. */
    private static final Duration WRITE_WITHIN = Duration.ofSeconds(10);
    /** Fewer than the pool's connections: writers need some too. */
    private static final int SQLITE_READERS = 4;

    private final Settings.Ledger settings;
    private final @Nullable DataSource source;
    private final @Nullable Flyway flyway;
    /** The executor replaces a thread that dies. */
    private final Executor readers;

    private volatile boolean there;
    private @Nullable FileLock fileLock;

    /** @param source and its migrations; both null: there is no ledger */
    LedgerDatabase(Settings.Ledger settings, @Nullable DataSource source, @Nullable Flyway flyway) {
        this.settings = settings;
        this.source = source;
        this.flyway = flyway;
        // SQLite's driver waits in native code and under a monitor, which would hold a virtual thread's carrier
        readers = settings.kind() == Settings.LedgerKind.SQLITE
                ? Executors.newFixedThreadPool(
                        SQLITE_READERS,
                        Thread.ofPlatform()
                                .daemon()
                                .name("penstock-ledger-read-", 0)
                                .factory())
                : Executors.newThreadPerTaskExecutor(
                        Thread.ofVirtual().name("ledger-read-", 0).factory());
    }

    /**
     * The database cannot be read now, or there is none; the message has which. It has no cause: a driver's message may
     * contain prompts and answers.
     */
    public static class Unavailable extends Exception {
        private final String why;

        public Unavailable(String message, @Nullable Throwable why) {
            super(message);
            this.why = why == null ? message : SqlFailure.words(why);
        }

        /** The message contains nothing of what was asked or written. */
        public final String why() {
            return why;
        }
    }

    /** The database refuses a value. The database is available all the same. */
    public static final class Unwritable extends Unavailable {
        Unwritable(SQLException why) {
            super("the ledger does not take a value", why);
        }
    }

    /** A task with a connection. */
    @FunctionalInterface
    public interface Work<T extends @Nullable Object> {
        T with(Connection connection) throws SQLException;
    }

    public Settings.LedgerKind kind() {
        return settings.kind();
    }

    /**
     * Keeps a second process away from the file.
     *
     * @return the file's own name in the group, whichever process has it; empty: the database serves many
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
                // SQLite gives the files beside it the same permissions
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

    /** The operator of Penstock has to act. */
    public static final class Unusable extends Exception {
        public Unusable(String message) {
            super(message);
        }
    }

    /**
     * Brings the tables up to date; from then on the database is available. Flyway (12.0) does not give back its
     * connections where the database goes away during a migration. So Flyway runs only where the database answers, and
     * the connections that it keeps are closed; otherwise the pool would run dry.
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

    /** Fails at once where the database is away. */
    public void mustBeThere() throws Unavailable {
        if (source == null) {
            throw new Unavailable("there is no ledger (penstock.ledger.kind is none)", null);
        }
        if (!there) {
            throw new Unavailable("the ledger is away", null);
        }
    }

    /** Reads, within two seconds. */
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
     * Writes all of it, or nothing; repeats it where another transaction wrote at the same moment. For the threads that
     * keep the ledger. While other processes hold the database it is busy, and not away: readers go on.
     *
     * @throws Unwritable the database refuses a value, and stays available
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
                // it commits; SQLite's commit() also begins the next transaction; where that is refused, the commit
                // itself has succeeded
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
     * Also where it could not begin: SQLite's driver then believes that it has begun, and would never begin another.
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
