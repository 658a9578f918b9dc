package dev.penstock.wire;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Set;

/** Creates files for prompts, answers or keys that only their owner can read. */
public final class OwnerOnly {
    private OwnerOnly() {}

    /**
     * Returns the attributes for a new file in the folder of this path: mode 0600 if the file system has permissions.
     */
    public static FileAttribute<?>[] attributes(Path path) {
        return path.getFileSystem().supportedFileAttributeViews().contains("posix")
                ? new FileAttribute<?>[] {
                    PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------"))
                }
                : new FileAttribute<?>[0];
    }

    /** Opens a file for reading and writing. An existing file keeps its content and its permissions. */
    public static FileChannel open(Path path) throws IOException {
        Set<OpenOption> options = Set.of(StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE);
        return FileChannel.open(path, options, attributes(path));
    }
}
