package dev.penstock.testkit;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/** The paths of the build for the tests, the demo and the bench, and the parts that tests may skip. */
public final class TestEnvironment {
    private TestEnvironment() {}

    /** Returns Maven's {@code target}. */
    public static Path buildDir() {
        return Path.of(System.getProperty("penstock.build-dir", "target"))
                .toAbsolutePath()
                .normalize();
    }

    /** Returns the top of the working copy. */
    public static Path projectDir() {
        Path parent = buildDir().getParent();
        return parent == null ? buildDir() : parent;
    }

    /** Returns true if a missing part is a failure, and false if it is a reason to skip a test. */
    public static boolean requiresAll() {
        String configured = System.getProperty("penstock.test.require-all", "");
        String value = configured.isBlank() || configured.startsWith("$")
                ? System.getenv().getOrDefault("PENSTOCK_TEST_REQUIRE_ALL", "")
                : configured;
        return !value.isBlank() && !value.equals("0") && !value.equals("false");
    }

    /** Returns the options of the service's JVM where no speed is measured. Most of its time there is its start. */
    static List<String> jvmOptions() {
        String options = System.getProperty("penstock.test.jvm-options", "").strip();
        return options.isEmpty() ? List.of() : List.of(options.split(" +"));
    }

    /**
     * Returns the shape of Kafka's share client where it does not matter: few consumers, because each of them calls the
     * broker twice a second, with batches that fill the slots of most tests.
     */
    static Map<String, String> shapeOfKafkas() {
        String consumers = System.getProperty("penstock.test.consumers", "").strip();
        return consumers.isEmpty()
                ? Map.of()
                : Map.of("penstock.intake.consumers", consumers, "penstock.intake.batch", "64");
    }

    /** Returns the {@code java} that runs this. */
    static String java() {
        return Path.of(System.getProperty("java.home"), "bin", "java").toString();
    }
}
