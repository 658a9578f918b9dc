package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** The packages of main, and all files, stay small. The known exceptions may only shrink. */
class SizesTest {
    private static final Path MAIN = Path.of("src/main/java/dev/penstock");
    private static final Path TESTS = Path.of("src/test/java/dev/penstock");
    private static final int MOST_FILES = 20;
    private static final int MOST_LINES = 400;

    /** Lines per file. */
    private static final Map<String, Integer> LONG_FILES =
            Map.ofEntries(Map.entry("reply/LiveReplies.java", 409), Map.entry("reply/Watch.java", 477));

    @Test
    void no_package_has_over_20_files() throws IOException {
        Map<String, Integer> files = new TreeMap<>();
        for (Path file : files(MAIN)) {
            files.merge(name(Objects.requireNonNull(file.getParent())), 1, Integer::sum);
        }

        files.forEach((name, number) ->
                assertThat(number).as("files of the package " + name).isLessThanOrEqualTo(MOST_FILES));
    }

    @Test
    void no_file_has_over_400_lines() throws IOException {
        for (Path file : files(MAIN)) {
            assertThat(Files.readAllLines(file).size())
                    .as("lines of " + name(file))
                    .isLessThanOrEqualTo(LONG_FILES.getOrDefault(name(file), MOST_LINES));
        }
    }

    @Test
    void no_file_of_the_tests_has_over_400_lines() throws IOException {
        for (Path file : files(TESTS)) {
            assertThat(Files.readAllLines(file).size()).as("lines of " + file).isLessThanOrEqualTo(MOST_LINES);
        }
    }

    private static List<Path> files(Path folder) throws IOException {
        try (Stream<Path> all = Files.walk(folder)) {
            List<Path> files =
                    all.filter(file -> file.toString().endsWith(".java")).toList();
            assertThat(files).hasSizeGreaterThan(100);
            return files;
        }
    }

    private static String name(Path path) {
        return MAIN.relativize(path).toString();
    }
}
