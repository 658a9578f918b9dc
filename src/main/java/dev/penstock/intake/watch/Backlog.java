package dev.penstock.intake.watch;

import dev.penstock.settings.Settings;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;

/** The number of unfinished records of each topic, as the broker reported it last. Thread-safe. */
final class Backlog {
    private final Map<String, Long> records = new ConcurrentHashMap<>();

    Backlog(Settings settings, MeterRegistry meters) {
        settings.intake().topics().forEach(topic -> gauge(topic.name(), meters));
        gauge(settings.topics().deferred(), meters);
    }

    private void gauge(String topic, MeterRegistry meters) {
        Gauge.builder("penstock.queue.lag", records, known -> known.getOrDefault(topic, 0L))
                .tag("topic", topic)
                .register(meters);
    }

    void set(String topic, long unfinished) {
        records.put(topic, unfinished);
    }

    /** Returns the number for each topic for which it is known. */
    Map<String, Long> all() {
        return new TreeMap<>(records);
    }
}
