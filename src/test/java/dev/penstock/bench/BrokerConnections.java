package dev.penstock.bench;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;

/** The open TCP connections of a process, from Linux. */
final class BrokerConnections {
    private static final String OPEN = "01";
    private static final int REMOTE = 2;
    private static final int STATE = 3;
    private static final int INODE = 9;

    private BrokerConnections() {}

    /** Returns the number of connections of a process to a port of another process. */
    static int to(long pid, int port) {
        Path process = Path.of("/proc", Long.toString(pid));
        try {
            Set<String> sockets = sockets(process.resolve("fd"));
            int open = 0;
            for (String table : List.of("net/tcp", "net/tcp6")) {
                open += count(Files.readAllLines(process.resolve(table)), port, sockets);
            }
            return open;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /**
     * Counts the open connections to a port.
     *
     * @param table the lines of {@code /proc/net/tcp}, with the header
     * @param inodes the sockets that count
     */
    static int count(List<String> table, int port, Set<String> inodes) {
        String remote = ":%04X".formatted(port);
        return (int) table.stream()
                .skip(1)
                .map(line -> line.strip().split("\\s+", -1))
                .filter(fields -> fields[REMOTE].endsWith(remote))
                .filter(fields -> fields[STATE].equals(OPEN))
                .filter(fields -> inodes.contains(fields[INODE]))
                .count();
    }

    private static Set<String> sockets(Path descriptors) throws IOException {
        Set<String> inodes = new HashSet<>();
        try (Stream<Path> all = Files.list(descriptors)) {
            for (Path each : all.toList()) {
                String target = target(each);
                if (target.startsWith("socket:[")) {
                    inodes.add(target.substring("socket:[".length(), target.length() - 1));
                }
            }
        }
        return inodes;
    }

    private static String target(Path descriptor) {
        try {
            return Files.readSymbolicLink(descriptor).toString();
        } catch (IOException _) {
            return ""; // closed meanwhile
        }
    }
}
