package dev.penstock.settings.source;

import static org.assertj.core.api.Assertions.assertThat;

import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class MetricHelpTest {
    private static final Pattern REGISTERED = Pattern.compile(
            "(?:\\.builder|\\bcounter|\\.summary|\\.timer|\\.gauge|histogram)\\(\\s*\"((?:penstock|gen_ai)\\.[a-z_.]+)\"(?=([^;]*))");

    @Test
    void a_meter_gets_its_text_from_the_table() {
        MeterRegistry meters = new SimpleMeterRegistry();
        meters.config().meterFilter(new MetricHelp());

        Meter.Id id = meters.counter("penstock.dlq", "reason", "poison").getId();

        assertThat(id.getDescription()).isEqualTo("Records that went to the dead-letter topic, by reason");
        assertThat(id.getTag("reason")).isEqualTo("poison");
    }

    @Test
    void every_meter_that_the_code_registers_has_a_text() throws IOException {
        Set<String> found = new TreeSet<>();
        Set<String> silent = new TreeSet<>();
        try (Stream<Path> files = Files.walk(Path.of("src/main/java"))) {
            for (Path file :
                    files.filter(path -> path.toString().endsWith(".java")).toList()) {
                Matcher meters = REGISTERED.matcher(Files.readString(file));
                while (meters.find()) {
                    found.add(meters.group(1));
                    if (!MetricHelp.TEXTS.containsKey(meters.group(1))
                            && !meters.group(2).contains(".description(")) {
                        silent.add(meters.group(1));
                    }
                }
            }
        }

        assertThat(found).hasSizeGreaterThan(25);
        assertThat(silent).as("add a text to MetricHelp").isEmpty();
        assertThat(MetricHelp.TEXTS.values())
                .allSatisfy(text -> assertThat(text).isNotBlank());
        assertThat(found).as("texts of meters that are gone").containsAll(MetricHelp.TEXTS.keySet());
    }
}
