package dev.penstock.testkit;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/** Where the tests, the demo and the bench find what was built, and what they may leave out. */
public final class TestEnvironment {
    private TestEnvironment() {}

    /** Maven's {@code target}. */
    public static Path buildDir() {
        return Path.of(System.getProperty("penstock.build-dir", "target"))
                .toAbsolutePath()
                .normalize();
    }

    /** The top of the working copy. */
    public static Path projectDir() {
        Path parent = buildDir().getParent();
        return parent == null ? buildDir() : parent;
    }

    /** True where a part that cannot be had is a failure, and not a reason to do without it. */
    public static boolean requiresAll() {
        String said = System.getProperty("penstock.test.require-all", "");
        String value = said.isBlank() || said.startsWith("$")
                ? System.getenv().getOrDefault("PENSTOCK_TEST_REQUIRE_ALL", "")
                : said;
        return !value.isBlank() && !value.equals("0") && !value.equals("false");
    }

    /** What the service's JVM is started with where no speed is measured: most of its time there is its start. */
    static List<String> jvmOptions() {
        String options = System.getProperty("penstock.test.jvm-options", "").strip();
        return options.isEmpty() ? List.of() : List.of(options.split(" +"));
    }

    /** Of each job topic, where nothing hangs on them: each that is there asks the broker twice a second. */
    static Optional<String> consumers() {
        return Optional.ofNullable(System.getProperty("penstock.test.consumers"))
                .filter(said -> !said.isBlank());
    }

    /** The {@code java} that runs this. */
    static String java() {
        return Path.of(System.getProperty("java.home"), "bin", "java").toString();
    }
}
