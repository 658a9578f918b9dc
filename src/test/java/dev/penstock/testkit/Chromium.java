package dev.penstock.testkit;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;

/** A real Chromium without a window, with its own profile for each page. */
public final class Chromium {
    private static final List<String> NAMES =
            List.of("chromium", "chromium-headless-shell", "chromium-browser", "google-chrome");
    private static final long PATIENCE_SECONDS = 90;

    private final Path program;

    private Chromium(Path program) {
        this.program = program;
    }

    /** Returns the Chromium on the PATH. Without one the test is skipped, or fails if all parts are required. */
    public static Chromium installed() {
        for (String folder : System.getenv().getOrDefault("PATH", "").split(File.pathSeparator, -1)) {
            for (String name : NAMES) {
                Path program = Path.of(folder, name);
                if (Files.isExecutable(program)) {
                    return new Chromium(program);
                }
            }
        }
        String missing = "there is no Chromium on the PATH (Debian: apt-get install chromium)";
        if (TestEnvironment.requiresAll()) {
            throw new IllegalStateException(missing);
        }
        Assumptions.abort("SKIPPED: " + missing);
        throw new IllegalStateException(missing);
    }

    /**
     * Opens a page, lets its scripts end, and returns the resulting HTML.
     *
     * @param options further options of the program
     */
    public String show(URI page, String... options) throws InterruptedException {
        Path profile;
        try {
            profile = Files.createTempDirectory("penstock-chromium");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        try {
            List<String> command = new ArrayList<>(List.of(
                    program.toString(),
                    "--headless",
                    "--no-sandbox",
                    "--disable-gpu",
                    "--disable-dev-shm-usage",
                    "--no-first-run",
                    "--user-data-dir=" + profile.resolve("profile"),
                    "--virtual-time-budget=20000",
                    "--dump-dom"));
            command.addAll(List.of(options));
            command.add(page.toString());
            Path shown = profile.resolve("shown.html");
            Process browser = new ProcessBuilder(command)
                    .redirectOutput(shown.toFile())
                    .redirectError(ProcessBuilder.Redirect.DISCARD)
                    .start();
            if (!browser.waitFor(PATIENCE_SECONDS, TimeUnit.SECONDS)) {
                browser.descendants().forEach(ProcessHandle::destroyForcibly);
                browser.destroyForcibly();
                throw new IllegalStateException("Chromium did not end within %d s".formatted(PATIENCE_SECONDS));
            }
            return Files.readString(shown, StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } finally {
            delete(profile);
        }
    }

    /** Its helper processes may still write while they end. */
    private static void delete(Path folder) {
        try (Stream<Path> files = Files.walk(folder)) {
            files.sorted(Comparator.reverseOrder())
                    .forEach(file -> file.toFile().delete());
        } catch (IOException | UncheckedIOException _) {
            // the system cleans its folder for temporary files
        }
    }
}
