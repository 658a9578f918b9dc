package dev.penstock.testkit;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;

/** A {@link Broker} as a process of its own, which can be killed. Its log is deleted with it. */
public final class BrokerProcess implements AutoCloseable {
    private final ChildProcess process;
    private final String bootstrap;

    private BrokerProcess(ChildProcess process, String bootstrap) {
        this.process = process;
        this.bootstrap = bootstrap;
    }

    public static BrokerProcess start() throws InterruptedException {
        return start(Broker.freePort());
    }

    public static BrokerProcess start(int port) throws InterruptedException {
        // a killed process cannot delete its files, so they are in a folder that the kit deletes with the process
        return start(port, newFolder());
    }

    /** Kill -9, and a new process on the same port with the same log. */
    public BrokerProcess killAndRestart() throws InterruptedException {
        Path folder = process.takeFolder();
        process.kill9();
        return start(Integer.parseInt(bootstrap.replaceFirst(".*:", "")), folder);
    }

    private static BrokerProcess start(int port, Path folder) throws InterruptedException {
        ChildProcess process = ChildProcess.java(
                        "broker",
                        List.of("-Xmx768m", "-Djava.io.tmpdir=" + folder),
                        Broker.class,
                        Integer.toString(port),
                        folder.resolve("log").toString())
                .deletingAfterwards(folder);
        try {
            return new BrokerProcess(process, process.awaitWord("ready", Duration.ofSeconds(90)));
        } catch (IllegalStateException | InterruptedException e) {
            process.kill9();
            throw e;
        }
    }

    private static Path newFolder() {
        try {
            return Files.createTempDirectory(ChildProcess.workFolder(), "broker");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    public String bootstrap() {
        return bootstrap;
    }

    public Admin admin() {
        return Admin.create(Map.of("bootstrap.servers", bootstrap));
    }

    public long pid() {
        return process.pid();
    }

    public ChildProcess process() {
        return process;
    }

    public void kill9() {
        process.kill9();
    }

    @Override
    public void close() {
        process.stop();
    }
}
