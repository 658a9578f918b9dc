package dev.penstock.testkit;

import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;

/**
 * A real PostgreSQL 17 on a free port, with a folder of its own. It can be stopped and started again on the same
 * port.
 */
public final class Postgres implements AutoCloseable {
    public static final String USERNAME = "postgres";

    private final Path folder;
    private final int port;
    private EmbeddedPostgres server;

    private Postgres(Path folder, int port) throws IOException {
        this.folder = folder;
        this.port = port;
        server = start();
    }

    public static Postgres start(String name) {
        try {
            Path folder = Files.createTempDirectory("penstock-postgres-" + name);
            return new Postgres(folder, Broker.freePort());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private EmbeddedPostgres start() throws IOException {
        return EmbeddedPostgres.builder()
                .setDataDirectory(folder.resolve("data"))
                .setCleanDataDirectory(false)
                .setPort(port)
                .start();
    }

    public int port() {
        return port;
    }

    public String url() {
        return "jdbc:postgresql://127.0.0.1:" + port + "/postgres";
    }

    public String username() {
        return USERNAME;
    }

    public Connection connect() throws SQLException {
        return server.getPostgresDatabase().getConnection();
    }

    /** Ends the server; its data stays. */
    public void stop() {
        try {
            server.close();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Sends SIGKILL to the whole server: connections break, and nothing is cleaned up. */
    public void kill() {
        for (ProcessHandle process : processes()) {
            process.destroyForcibly();
        }
        processes().forEach(process -> process.onExit().join());
    }

    /** Sends SIGSTOP: connections stay open, and nothing answers. */
    public void freeze() {
        signal("STOP");
    }

    public void thaw() {
        signal("CONT");
    }

    private void signal(String name) {
        processes().forEach(process -> ChildProcess.signal(name, process.pid()));
    }

    /** Returns the postmaster and the processes that serve connections. */
    private List<ProcessHandle> processes() {
        try {
            Path file = folder.resolve("data").resolve("postmaster.pid");
            if (!Files.exists(file)) {
                return List.of();
            }
            long pid = Long.parseLong(Files.readAllLines(file).getFirst().strip());
            return ProcessHandle.of(pid).stream()
                    .flatMap(postmaster -> Stream.concat(Stream.of(postmaster), postmaster.descendants()))
                    .toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    public void restart() {
        try {
            // a killed server still holds its folder
            server.close();
            server = start();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public void close() {
        stop();
        try (Stream<Path> files = Files.walk(folder)) {
            files.sorted(Comparator.reverseOrder())
                    .forEach(file -> file.toFile().delete());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
