package dev.penstock.bench;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.penstock.testkit.TestEnvironment;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The samples and results of one lane, for {@code target/bench/LANE.json}. */
final class Report {
    private static final ObjectMapper JSON =
            JsonMapper.builder().enable(SerializationFeature.INDENT_OUTPUT).build();

    private final String lane;
    private final Map<String, Object> head = new LinkedHashMap<>();
    private final Map<String, Object> summary = new LinkedHashMap<>();
    private final List<Map<String, Object>> samples = new ArrayList<>();

    Report(String lane, int rounds, Map<String, ?> settings) {
        this.lane = lane;
        head.put("lane", lane);
        head.put("date", Instant.now().toString());
        head.put("jdk", Runtime.version().toString());
        head.put("os", System.getProperty("os.name") + " " + System.getProperty("os.version"));
        head.put("cores", Runtime.getRuntime().availableProcessors());
        head.put("load_average_before", load());
        head.put("rounds", rounds);
        head.put("settings", settings);
    }

    /** Returns the load of the last minute. Above the number of cores, other programs were running. */
    static double load() {
        return ManagementFactory.getOperatingSystemMXBean().getSystemLoadAverage();
    }

    void sample(Map<String, ?> sample) {
        samples.add(new LinkedHashMap<>(sample));
    }

    void summary(String name, Object value) {
        summary.put(name, value);
    }

    Path write() throws IOException {
        Map<String, Object> document = new LinkedHashMap<>(head);
        document.put("load_average_after", load());
        document.put("summary", summary);
        document.put("samples", samples);
        Path file = Files.createDirectories(TestEnvironment.buildDir().resolve("bench"))
                .resolve(lane + ".json");
        JSON.writeValue(file.toFile(), document);
        return file;
    }
}
