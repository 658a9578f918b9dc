package dev.penstock.testkit;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;

/**
 * The resources of a process, from Linux.
 *
 * @param threads the number of operating system threads
 * @param residentMegabytes resident memory, in units of 2^20 bytes
 */
public record Vitals(int threads, int residentMegabytes) {
    public static Vitals of(long pid) {
        Path status = Path.of("/proc", Long.toString(pid), "status");
        if (!Files.exists(status)) {
            return new Vitals(-1, -1);
        }
        try {
            List<String> lines = Files.readAllLines(status);
            return new Vitals(value(lines, "Threads:"), value(lines, "VmRSS:") / 1024);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Returns the number of its open sockets. */
    public static int sockets(long pid) {
        try (DirectoryStream<Path> files = Files.newDirectoryStream(Path.of("/proc", Long.toString(pid), "fd"))) {
            int sockets = 0;
            for (Path file : files) {
                sockets += isSocket(file) ? 1 : 0;
            }
            return sockets;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static boolean isSocket(Path file) {
        try {
            return Files.readSymbolicLink(file).toString().startsWith("socket:");
        } catch (IOException _) {
            // it was closed in the meantime
            return false;
        }
    }

    private static int value(List<String> lines, String key) {
        return lines.stream()
                .filter(line -> line.startsWith(key))
                .map(line -> line.substring(key.length()).replaceAll("\\D", ""))
                .mapToInt(Integer::parseInt)
                .findFirst()
                .orElse(-1);
    }

    /** Returns the processor time since its start, in milliseconds. */
    public static double cpuMillis(long pid) {
        return ProcessHandle.of(pid)
                .flatMap(process -> process.info().totalCpuDuration())
                .map(Duration::toMillis)
                .orElse(0L);
    }
}
