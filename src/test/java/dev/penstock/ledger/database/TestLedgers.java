package dev.penstock.ledger.database;

import dev.penstock.settings.Settings;
import dev.penstock.testkit.Postgres;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Properties;
import javax.sql.DataSource;
import org.flywaydb.core.Flyway;
import org.postgresql.ds.PGSimpleDataSource;
import org.sqlite.SQLiteDataSource;

/** Ledgers without a service around them, with the tables that the product makes. */
public final class TestLedgers {
    private TestLedgers() {}

    public static LedgerDatabase sqlite(Path file) {
        // with its driver, like the product's pool: SQLite's own source lets its defaults override the address
        SQLiteDataSource source = new SQLiteDataSource() {
            @Override
            public Connection getConnection() throws SQLException {
                return DriverManager.getConnection(getUrl());
            }
        };
        source.setUrl(sqliteUrl(file));
        return database(Settings.LedgerKind.SQLITE, file, source);
    }

    /** As the product sets it up. */
    static String sqliteUrl(Path file) {
        Properties product = new Properties();
        try (InputStream properties = Objects.requireNonNull(
                TestLedgers.class.getResourceAsStream("/application.properties"), "application.properties")) {
            product.load(properties);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return Objects.requireNonNull(product.getProperty("quarkus.datasource.sqlite.jdbc.url"))
                .replace("${penstock.ledger.path:data/penstock.db}", file.toString());
    }

    public static LedgerDatabase postgres(Postgres postgres) {
        return postgres(postgres.url(), postgres.username());
    }

    public static LedgerDatabase postgres(String url, String username) {
        PGSimpleDataSource source = new PGSimpleDataSource();
        source.setUrl(url);
        source.setUser(username);
        return database(Settings.LedgerKind.POSTGRESQL, Path.of("none"), source);
    }

    static LedgerDatabase database(Settings.LedgerKind kind, Path file, DataSource source) {
        Flyway flyway = Flyway.configure()
                .dataSource(source)
                .locations("classpath:db/ledger")
                .load();
        LedgerDatabase database =
                new LedgerDatabase(new Settings.Ledger(kind, Duration.ofHours(24), file), source, flyway);
        try {
            database.migrate();
        } catch (LedgerDatabase.Unavailable e) {
            throw new IllegalStateException(e);
        }
        return database;
    }

    public static void empty(LedgerDatabase database) throws LedgerDatabase.Unavailable {
        database.write(connection -> {
            try (Statement statement = connection.createStatement()) {
                for (String table : List.of("jobs", "requests", "positions", "origin")) {
                    statement.execute("DELETE FROM " + table);
                }
            }
            return null;
        });
    }

    /** Every row of {@code jobs} and {@code requests}, whole, in the order of their ids. */
    public static List<String> dump(LedgerDatabase database) throws LedgerDatabase.Unavailable {
        return database.write(TestLedgers::dump);
    }

    static List<String> dump(Connection connection) throws SQLException {
        List<String> dump = new ArrayList<>();
        for (String query : List.of(
                "SELECT * FROM jobs ORDER BY reply_partition, id", "SELECT * FROM requests ORDER BY id, body_hash")) {
            try (Statement statement = connection.createStatement();
                    ResultSet rows = statement.executeQuery(query)) {
                int columns = rows.getMetaData().getColumnCount();
                while (rows.next()) {
                    StringBuilder row = new StringBuilder();
                    for (int i = 1; i <= columns; i++) {
                        row.append(rows.getString(i)).append('|');
                    }
                    dump.add(row.toString());
                }
            }
        }
        dump.sort(null);
        return dump;
    }
}
