package dev.penstock.node.program;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Optional;
import java.util.stream.Stream;

/** Finds the programs of llama.cpp. */
public final class Executables {
    private Executables() {}

    /** Finds a configured program. The command is the path of a file, or a name on the PATH. */
    public static Optional<Path> find(String command) {
        return command.contains("/") || command.contains("\\")
                ? runnable(Path.of(command).toAbsolutePath())
                : onPath(command);
    }

    /**
     * Finds a program that belongs to the same build as another program. It looks in the other program's folder, in
     * the folder of its link's target, and then on the PATH.
     */
    static Optional<Path> beside(Path other, String name) {
        return Stream.of(other, real(other))
                .map(file -> file.resolveSibling(name))
                .flatMap(file -> runnable(file).stream())
                .findFirst()
                .or(() -> onPath(name));
    }

    private static Path real(Path file) {
        try {
            return file.toRealPath();
        } catch (IOException _) {
            return file;
        }
    }

    private static Optional<Path> onPath(String name) {
        String path = System.getenv().getOrDefault("PATH", "");
        return Arrays.stream(path.split(System.getProperty("path.separator"), -1))
                .filter(folder -> !folder.isEmpty())
                .flatMap(folder -> Stream.of(name, name + ".exe").map(Path.of(folder)::resolve))
                .flatMap(file -> runnable(file).stream())
                .findFirst();
    }

    private static Optional<Path> runnable(Path file) {
        return Files.isRegularFile(file) && Files.isExecutable(file) ? Optional.of(file) : Optional.empty();
    }
}
