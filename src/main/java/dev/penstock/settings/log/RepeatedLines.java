package dev.penstock.settings.log;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.LongSupplier;
import java.util.logging.Filter;
import java.util.logging.LogRecord;
import java.util.regex.Pattern;

/**
 * Passes a repeated line of a library once a minute. Kafka's clients, Vert.x, Netty, the database's pool and the
 * exporter of traces repeat their lines with every retry. Two lines are equal if only numbers or the Kafka client
 * differ. Penstock's own lines all pass.
 */
final class RepeatedLines implements Filter {
    private static final long PERIOD_NANOS = 60_000_000_000L;
    private static final int REMEMBERED = 500;
    private static final List<String> LIBRARIES = List.of(
            "org.apache.kafka", "io.vertx", "io.netty", "io.agroal", "io.opentelemetry", "io.quarkus.opentelemetry");

    /** Every client of one broker logs the same. */
    private static final Pattern CLIENT = Pattern.compile("^\\[[^\\]]*\\bclientId=[^\\]]*\\]\\s*");

    private static final Pattern NUMBERS = Pattern.compile("-?\\d+");

    private final LongSupplier nanos;
    /** The last time of each line; guarded by itself. */
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
