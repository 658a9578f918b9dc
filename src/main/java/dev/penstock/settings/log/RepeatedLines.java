package dev.penstock.settings.log;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.LongSupplier;
import java.util.logging.Filter;
import java.util.logging.LogRecord;
import java.util.regex.Pattern;

/**
 * Passes a repeated line of a library only once a minute. Kafka's clients, Vert.x, Netty, the database's pool and the
 * exporter of traces repeat their lines at every retry. Two lines count as equal if they differ only in numbers or in
 * the Kafka client. All lines of Penstock itself pass.
 */
final class RepeatedLines implements Filter {
    private static final long PERIOD_NANOS = 60_000_000_000L;
    private static final int REMEMBERED = 500;
    private static final List<String> LIBRARIES = List.of(
            "org.apache.kafka", "io.vertx", "io.netty", "io.agroal", "io.opentelemetry", "io.quarkus.opentelemetry");

    /** The prefix with a client's name. All Kafka clients of one broker log the same lines. */
    private static final Pattern CLIENT = Pattern.compile("^\\[[^\\]]*\\bclientId=[^\\]]*\\]\\s*");

    private static final Pattern NUMBERS = Pattern.compile("-?\\d+");

    private final LongSupplier nanos;
    /** The time at which each line passed last. Guarded by itself. */
    private final Map<String, Long> lastSeen = new LinkedHashMap<>() {
        @Override
        protected boolean removeEldestEntry(Map.Entry<String, Long> eldest) {
            return size() > REMEMBERED;
        }
    };

    RepeatedLines() {
        this(System::nanoTime);
    }

    RepeatedLines(LongSupplier nanos) {
        this.nanos = nanos;
    }

    @Override
    public boolean isLoggable(LogRecord record) {
        String logger = String.valueOf(record.getLoggerName());
        if (LIBRARIES.stream().noneMatch(logger::startsWith)) {
            return true;
        }
        String line = logger
                + ' '
                + NUMBERS.matcher(CLIENT.matcher(String.valueOf(record.getMessage()))
                                .replaceAll(""))
                        .replaceAll("0");
        long now = nanos.getAsLong();
        synchronized (lastSeen) {
            Long before = lastSeen.get(line);
            if (before != null && now - before < PERIOD_NANOS) {
                return false;
            }
            lastSeen.remove(line);
            lastSeen.put(line, now);
            return true;
        }
    }
}
