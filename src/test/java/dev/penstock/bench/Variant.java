package dev.penstock.bench;

import dev.penstock.testkit.TestEnvironment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A program of Penstock with one share client. It has topics and groups of its own, so that several variants run
 * beside each other.
 *
 * @param program {@code jar} or {@code native}
 * @param shareClient {@code own} or {@code kafka}
 */
record Variant(String program, String shareClient) {
    private static final List<String> OTHER_TOPICS =
            List.of("jobs-high", "jobs-low", "deferred", "commands", "dlq", "settings");

    Variant {
        require(program, List.of("jar", "native"));
        require(shareClient, List.of("own", "kafka"));
    }

    private static void require(String given, List<String> known) {
        if (!known.contains(given)) {
            throw new IllegalArgumentException("'%s' is none of %s".formatted(given, known));
        }
    }

    static List<Variant> all(List<String> programs, List<String> shareClients) {
        List<Variant> all = new ArrayList<>();
        for (String program : programs) {
            for (String shareClient : shareClients) {
                all.add(new Variant(program, shareClient));
            }
        }
        return all;
    }

    /** Returns the variants whose program is there. It prints a line for each missing program. */
    static List<Variant> built(List<Variant> wanted) {
        wanted.stream()
                .filter(variant -> !variant.isBuilt())
                .forEach(variant -> Bench.progress("%s is not measured: there is no %s; `make %s` builds it"
                        .formatted(variant, variant.path(), variant.program.equals("jar") ? "build" : "native")));
        List<Variant> built = wanted.stream().filter(Variant::isBuilt).toList();
        if (built.isEmpty()) {
            throw new IllegalStateException("no program to measure");
        }
        return built;
    }

    private boolean isBuilt() {
        return Files.exists(path());
    }

    Path path() {
        Path build = TestEnvironment.buildDir();
        return program.equals("jar")
                ? build.resolve("quarkus-app").resolve("quarkus-run.jar")
                : build.resolve("penstock-runner");
    }

    String jobs() {
        return topic("jobs");
    }

    String replies() {
        return topic("replies");
    }

    /** Returns the three job topics, the most urgent first. */
    List<String> jobTopics() {
        return List.of(topic("jobs-high"), jobs(), topic("jobs-low"));
    }

    private String topic(String which) {
        return this + "-" + which;
    }

    String group(String jobTopic) {
        return prefix() + "penstock." + jobTopic;
    }

    private String prefix() {
        return this + ".";
    }

    Map<String, String> config() {
        Map<String, String> config = new LinkedHashMap<>();
        config.put("penstock.intake.share-client", shareClient);
        config.put("penstock.groups-prefix", prefix());
        config.put("penstock.topics.jobs", jobs());
        config.put("penstock.topics.replies", replies());
        OTHER_TOPICS.forEach(which -> config.put("penstock.topics." + which, topic(which)));
        return config;
    }

    @Override
    public String toString() {
        return program + "-" + shareClient;
    }
}
