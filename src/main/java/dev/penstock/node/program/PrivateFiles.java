package dev.penstock.node.program;

import dev.penstock.wire.OwnerOnly;
import dev.penstock.wire.Reason;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.jboss.logging.Logger;

/**
 * The files of one request to a program, in a folder that only its owner can read. Closing this object deletes the
 * files.
 */
final class PrivateFiles implements AutoCloseable {
    private static final Logger LOG = Logger.getLogger(PrivateFiles.class);

    private final Path folder;

    private PrivateFiles(Path folder) {
        this.folder = folder;
    }

    static PrivateFiles write(Map<String, byte[]> contents) throws IOException {
        // the folder has mode 700 by default
        Path folder = Files.createTempDirectory(
                "penstock-%d-".formatted(ProcessHandle.current().pid()));
        PrivateFiles files = new PrivateFiles(folder);
        try {
            for (Map.Entry<String, byte[]> file : contents.entrySet()) {
                Path path = Files.createFile(folder.resolve(file.getKey()), OwnerOnly.attributes(folder));
                Files.write(path, file.getValue(), StandardOpenOption.WRITE);
            }
            return files;
        } catch (IOException | RuntimeException e) {
            files.close();
            throw e;
        }
    }

    Path folder() {
        return folder;
    }

    @Override
    public void close() {
        remove(folder);
    }

    /** Deletes the folders that crashed Penstock processes have left. */
    static void sweep() {
        Path all = Path.of(System.getProperty("java.io.tmpdir"));
        try (Stream<Path> folders = Files.list(all)) {
            folders.filter(folder -> isLeft(String.valueOf(folder.getFileName())) && Files.isWritable(folder))
                    .forEach(PrivateFiles::remove);
        } catch (IOException e) {
            LOG.debugf("%s was not looked through: %s", all, e.getMessage());
        }
    }

    private static boolean isLeft(String name) {
        if (!name.matches("penstock-\\d{1,10}-\\d+")) {
            return false;
        }
        long pid = Long.parseLong(name.split("-", -1)[1]);
        return ProcessHandle.of(pid).filter(ProcessHandle::isAlive).isEmpty();
    }

    private static void remove(Path folder) {
        try (Stream<Path> files = Files.walk(folder)) {
            List<Path> deepestFirst = files.sorted(Comparator.reverseOrder()).toList();
            for (Path file : deepestFirst) {
                Files.deleteIfExists(file);
            }
        } catch (IOException e) {
            LOG.warnf("%s could not be removed: %s", folder, Reason.of(e));
        }
    }
}
