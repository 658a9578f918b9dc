package dev.penstock.testkit;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.ConcurrentLinkedDeque;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * A process that ends with this JVM at the latest. Its output and errors go to a file under {@code target/processes}.
 * Tests can wait for lines of it.
 */
public final class ChildProcess implements AutoCloseable {
    private static final Duration STOPS_WITHIN = Duration.ofSeconds(30);

    private static final Path SETSID = Path.of("/usr/bin/setsid");
    private static final Duration GENTLY = Duration.ofSeconds(10);
    private static final HttpClient HTTP =
            HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
    private static final Deque<ChildProcess> LIVE = new ConcurrentLinkedDeque<>();

    static {
        Runtime.getRuntime().addShutdownHook(new Thread(ChildProcess::stopAll, "stop-children"));
    }

    private final String name;
    private final Process process;
    private final ProcessOutput output;
    private @Nullable Path ownFolder; // guarded by this

    private ChildProcess(String name, Process process, ProcessOutput output) {
        this.name = name;
        this.process = process;
        this.output = output;
    }

    /**
     * Starts a program in {@link #workFolder()}.
     *
     * @param environment overrides this process's own; a null value removes a variable
     */
    public static ChildProcess start(String name, List<String> command, Map<String, @Nullable String> environment) {
        try {
            Path folder = workFolder();
            ProcessBuilder builder = new ProcessBuilder(ownSession(command))
                    .redirectErrorStream(true)
                    .directory(folder.toFile());
            environment.forEach((variable, value) -> {
                if (value == null) {
                    builder.environment().remove(variable);
                } else {
                    builder.environment().put(variable, value);
                }
            });
            Process process = builder.start();
            Path file = folder.resolve("%s-%d.log".formatted(name, process.pid()));
            ChildProcess child = new ChildProcess(name, process, new ProcessOutput(name, process, file));
            LIVE.push(child);
            return child;
        } catch (IOException e) {
            throw new UncheckedIOException("cannot start " + name + ": " + command.getFirst(), e);
        }
    }

    /**
     * Starts a session for the child. Ctrl-C in a terminal then reaches only this process, which stops the children
     * in order.
     */
    private static List<String> ownSession(List<String> command) {
        List<String> whole = new ArrayList<>(command);
        if (Files.isExecutable(SETSID)) {
            whole.addFirst(SETSID.toString());
        }
        return whole;
    }

    /** Starts a main class of the test class path in a JVM of its own. */
    public static ChildProcess java(String name, List<String> options, Class<?> main, String... arguments) {
        List<String> command = new ArrayList<>(List.of(
                TestEnvironment.java(), "--enable-native-access=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow"));
        command.addAll(options);
        command.addAll(
                List.of("-Dpenstock.build-dir=" + TestEnvironment.buildDir(), "-cp", classPath(), main.getName()));
        command.addAll(List.of(arguments));
        return start(name, command, Map.of());
    }

    /** Returns this JVM's class path, with absolute paths. */
    private static String classPath() {
        return Arrays.stream(System.getProperty("java.class.path").split(File.pathSeparator, -1))
                .filter(entry -> !entry.isEmpty())
                .map(entry -> Path.of(entry).toAbsolutePath().toString())
                .collect(Collectors.joining(File.pathSeparator));
    }

    /** Returns the folder where children run and leave their output. It contains no configuration of the user. */
    static Path workFolder() throws IOException {
        return Files.createDirectories(TestEnvironment.buildDir().resolve("processes"));
    }

    /**
     * Waits for the first matching line, from the beginning on.
     *
     * @throws IllegalStateException with the end of the output, if the process ends or the time passes before it
     */
    public String awaitLine(Predicate<String> fits, Duration patience) throws InterruptedException {
        Optional<String> line = output.await(fits, patience);
        return line.orElseThrow(() -> failure("had not said it after " + patience + ", or at its end"));
    }

    /** Returns the rest of a line after its first word, as in {@code ready ADDRESS}. */
    public String awaitWord(String word, Duration patience) throws InterruptedException {
        return awaitLine(line -> line.startsWith(word + " "), patience)
                .substring(word.length() + 1)
                .strip();
    }

    /**
     * Calls an address until it answers 200.
     *
     * @throws IllegalStateException with the end of the output, if the process ends or the time passes before it
     */
    public void awaitOk(URI address, Duration patience) throws InterruptedException {
        long until = System.nanoTime() + patience.toNanos();
        HttpRequest request =
                HttpRequest.newBuilder(address).timeout(Duration.ofSeconds(2)).build();
        String last = "refused";
        while (System.nanoTime() < until) {
            try {
                int status = HTTP.send(request, HttpResponse.BodyHandlers.discarding())
                        .statusCode();
                if (status == 200) {
                    return;
                }
                last = "status " + status;
            } catch (IOException e) {
                last = String.valueOf(e);
            }
            if (awaitExit(Duration.ofMillis(50)).isPresent()) {
                throw failure("ended too early");
            }
        }
        throw failure("did not answer at %s within %s: %s".formatted(address, patience, last));
    }

    /** Returns an exception with the state of this process. */
    public IllegalStateException failure(String what) {
        if (!isAlive()) {
            awaitGone(); // its last output is read by then
        }
        return new IllegalStateException("%s (pid %d) %s; all of its output: %s; the end of it:%n%s"
                .formatted(name, pid(), what, output.file(), output.tail()));
    }

    /** Returns the lines so far. */
    public List<String> output() {
        return output.lines();
    }

    public Path outputFile() {
        return output.file();
    }

    public long pid() {
        return process.pid();
    }

    public boolean isAlive() {
        return process.isAlive();
    }

    /** Waits for the end of the process and of its output; empty if it does not come in time. */
    public OptionalInt awaitExit(Duration patience) throws InterruptedException {
        if (!process.waitFor(patience.toNanos(), TimeUnit.NANOSECONDS)) {
            return OptionalInt.empty();
        }
        output.awaitEnd();
        return OptionalInt.of(process.exitValue());
    }

    /** Sends SIGTERM, without waiting. Its further output is still read. */
    public void terminate() {
        // Process.destroy would close its pipes at once
        process.toHandle().destroy();
    }

    /** Sends kill -9, and waits until the process is gone. */
    public void kill9() {
        process.destroyForcibly();
        awaitGone();
    }

    /** Sends SIGSTOP. The process stands still with all its resources, until {@link #thaw}. */
    public void freeze() {
        signal("STOP", pid());
    }

    public void thaw() {
        signal("CONT", pid());
    }

    /** Returns whether all threads of a process are stopped, or the process is gone. */
    private static boolean isStopped(long pid) {
        Path tasks = Path.of("/proc", Long.toString(pid), "task");
        if (!Files.isDirectory(tasks)) {
            return true;
        }
        try (Stream<Path> all = Files.list(tasks)) {
            for (Path task : all.toList()) {
                // the state follows the name, which is in brackets
                String stat = Files.readString(task.resolve("stat"));
                if ("TtZX".indexOf(stat.charAt(stat.lastIndexOf(')') + 2)) < 0) {
                    return false;
                }
            }
            return true;
        } catch (IOException | UncheckedIOException _) {
            // a thread has ended meanwhile
            return false;
        }
    }

    /** Sends a signal to any process of this machine. After STOP no thread of it runs. */
    public static void signal(String name, long pid) {
        try {
            Process kill = new ProcessBuilder("kill", "-" + name, Long.toString(pid))
                    .inheritIO()
                    .start();
            if (kill.onExit().join().exitValue() != 0) {
                throw new IllegalStateException("process " + pid + " cannot be sent " + name);
            }
            // a thread stops when it is scheduled next, and that may be late on a busy machine
            long until = System.nanoTime() + STOPS_WITHIN.toNanos();
            while (name.equals("STOP") && !isStopped(pid)) {
                if (System.nanoTime() > until) {
                    throw new IllegalStateException("process " + pid + " is not stopped after " + STOPS_WITHIN);
                }
                LockSupport.parkNanos(1_000_000);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Closes its standard input, which ends a process of this kit. Then it sends SIGTERM, then kill -9. */
    public void stop() {
        try {
            process.getOutputStream().close();
        } catch (IOException _) {
            // the process has closed it itself
        }
        stopBySignal(Duration.ofSeconds(5));
    }

    /** Sends SIGTERM after a moment, and kill -9 if the process does not end. */
    private void stopBySignal(Duration first) {
        try {
            if (awaitExit(first).isEmpty()) {
                terminate();
                if (awaitExit(GENTLY).isEmpty()) {
                    process.destroyForcibly();
                }
            }
        } catch (InterruptedException _) {
            process.destroyForcibly();
            Thread.currentThread().interrupt();
        }
        awaitGone();
    }

    private void awaitGone() {
        boolean interrupted = Thread.interrupted();
        try {
            process.waitFor();
            output.awaitEnd();
        } catch (InterruptedException _) {
            interrupted = true;
        } finally {
            deleteOwnFolder();
            LIVE.remove(this);
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }

    /** Deletes this folder with the process, however it ends. */
    synchronized ChildProcess deletingAfterwards(Path folder) {
        ownFolder = folder;
        return this;
    }

    /** Keeps the folder that would be deleted with the process, and returns it. */
    synchronized Path takeFolder() {
        Path folder = ownFolder;
        if (folder == null) {
            throw new IllegalStateException("it has no folder of its own");
        }
        ownFolder = null;
        return folder;
    }

    /** Deletes it once. A second caller waits, so that the JVM does not end before the deletion. */
    private synchronized void deleteOwnFolder() {
        if (ownFolder != null) {
            delete(ownFolder);
            ownFolder = null;
        }
    }

    private static void delete(Path folder) {
        try (Stream<Path> files = Files.walk(folder)) {
            files.sorted(Comparator.reverseOrder())
                    .forEach(file -> file.toFile().delete());
        } catch (IOException | UncheckedIOException _) {
            // below target: `make clean` deletes the rest
        }
    }

    /** Like {@link #stop()}; has no effect after the end. */
    @Override
    public void close() {
        stop();
    }

    /** Stops the youngest first: a service goes before its broker. */
    private static void stopAll() {
        Optional<ChildProcess> youngest = Optional.ofNullable(LIVE.poll());
        while (youngest.isPresent()) {
            youngest.get().terminate();
            youngest.get().stop();
            youngest = Optional.ofNullable(LIVE.poll());
        }
    }

    @Override
    public String toString() {
        return "%s (pid %d)".formatted(name, pid());
    }
}
