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
 * A process that ends with this JVM at the latest. Its output and errors go to a file under {@code target/processes}
 * and can be waited for, line by line.
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
     * @param environment set over this process's own; a null value removes a variable
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

    /** Ctrl-C in a terminal then reaches only us, and we stop the children in their order. */
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

    /** Ours, with nothing in it that depends on the folder where we run. */
    private static String classPath() {
        return Arrays.stream(System.getProperty("java.class.path").split(File.pathSeparator, -1))
                .filter(entry -> !entry.isEmpty())
                .map(entry -> Path.of(entry).toAbsolutePath().toString())
                .collect(Collectors.joining(File.pathSeparator));
    }

    /** Where children run and leave their output: no configuration of the user lies there. */
    static Path workFolder() throws IOException {
        return Files.createDirectories(TestEnvironment.buildDir().resolve("processes"));
    }

    /**
     * The first line, from the beginning, that fits.
     *
     * @throws IllegalStateException with the end of the output, where the process ends or the time passes before it
     */
    public String awaitLine(Predicate<String> fits, Duration patience) throws InterruptedException {
        Optional<String> line = output.await(fits, patience);
        return line.orElseThrow(() -> failure("had not said it after " + patience + ", or at its end"));
    }

    /** What stands behind a word at the beginning of a line, as in {@code ready ADDRESS}. */
    public String awaitWord(String word, Duration patience) throws InterruptedException {
        return awaitLine(line -> line.startsWith(word + " "), patience)
                .substring(word.length() + 1)
                .strip();
    }

    /**
     * Asks an address until it answers 200.
     *
     * @throws IllegalStateException with the end of the output, where the process ends or the time passes before it
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

    /** An exception that says what this process was doing. */
    public IllegalStateException failure(String what) {
        if (!isAlive()) {
            awaitGone(); // and its last words are here
        }
        return new IllegalStateException("%s (pid %d) %s; all of its output: %s; the end of it:%n%s"
                .formatted(name, pid(), what, output.file(), output.tail()));
    }

    /** The lines so far. */
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

    /** Waits for the end, and for its last words; empty where it does not come in time. */
    public OptionalInt awaitExit(Duration patience) throws InterruptedException {
        if (!process.waitFor(patience.toNanos(), TimeUnit.NANOSECONDS)) {
            return OptionalInt.empty();
        }
        output.awaitEnd();
        return OptionalInt.of(process.exitValue());
    }

    /** SIGTERM, without waiting; what it says from then on is heard. */
    public void terminate() {
        // a process that is destroyed by itself loses its pipes at once
        process.toHandle().destroy();
    }

    /** kill -9, and waits until the process is gone. */
    public void kill9() {
        process.destroyForcibly();
        awaitGone();
    }

    /** SIGSTOP: it stands still, with everything that it holds, until {@link #thaw}. */
    public void freeze() {
        signal("STOP", pid());
    }

    public void thaw() {
        signal("CONT", pid());
    }

    /** Whether all threads of a process are stopped, or it is gone. */
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

    /** Closes its standard input, which ends a process of this kit; then SIGTERM, then kill -9. */
    public void stop() {
        try {
            process.getOutputStream().close();
        } catch (IOException _) {
            // it has closed it itself
        }
        stopBySignal(Duration.ofSeconds(5));
    }

    /** SIGTERM after a moment, kill -9 where it does not help. */
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

    /** This folder goes with the process, however it ends. */
    synchronized ChildProcess deletingAfterwards(Path folder) {
        ownFolder = folder;
        return this;
    }

    /** The folder that was to go with the process stays, for whoever asks for it here. */
    synchronized Path takeFolder() {
        Path folder = ownFolder;
        if (folder == null) {
            throw new IllegalStateException("it has no folder of its own");
        }
        ownFolder = null;
        return folder;
    }

    /** Once; who comes second waits for it, so that the JVM does not end before it is done. */
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
            // below target: `make clean` takes what is left
        }
    }

    /** Like {@link #stop()}; nothing where it has ended. */
    @Override
    public void close() {
        stop();
    }

    /** The youngest first: a service goes before its broker. */
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
