package dev.penstock.testkit;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;

/** The output of a process. A thread copies it to a file, and any thread may wait for a line of it. */
final class ProcessOutput {
    private final Process process;
    private final Path file;
    private final Thread pump;
    private final List<String> lines = new ArrayList<>(); // guarded by itself
    private boolean ended; // guarded by lines

    ProcessOutput(String name, Process process, Path file) {
        this.process = process;
        this.file = file;
        this.pump = Thread.ofPlatform().daemon().name("output-of-" + name).start(this::copy);
    }

    private void copy() {
        try (BufferedReader output = process.inputReader(StandardCharsets.UTF_8);
                PrintWriter copy = new PrintWriter(Files.newBufferedWriter(file), true)) {
            String line = output.readLine();
            while (line != null) {
                copy.println(line);
                synchronized (lines) {
                    lines.add(line);
                    lines.notifyAll();
                }
                line = output.readLine();
            }
        } catch (IOException _) {
            // the pipe broke: the process has ended
        } finally {
            synchronized (lines) {
                ended = true;
                lines.notifyAll();
            }
        }
    }

    /**
     * Waits for the first matching line, from the beginning on; empty if the output ends or the time passes before
     * it.
     */
    Optional<String> await(Predicate<String> fits, Duration patience) throws InterruptedException {
        long until = System.nanoTime() + patience.toNanos();
        int next = 0;
        synchronized (lines) {
            while (true) {
                for (; next < lines.size(); next++) {
                    if (fits.test(lines.get(next))) {
                        return Optional.of(lines.get(next));
                    }
                }
                long left = TimeUnit.NANOSECONDS.toMillis(until - System.nanoTime());
                if (ended || left <= 0) {
                    return Optional.empty();
                }
                lines.wait(left);
            }
        }
    }

    /** Waits a moment for the last output, after the end of the process. */
    void awaitEnd() throws InterruptedException {
        pump.join(Duration.ofSeconds(2));
    }

    List<String> lines() {
        synchronized (lines) {
            return List.copyOf(lines);
        }
    }

    /** Returns the last lines as one text. */
    String tail() {
        List<String> all = lines();
        return String.join("\n", all.subList(Math.max(0, all.size() - 25), all.size()));
    }

    Path file() {
        return file;
    }
}
