package dev.penstock.node.http;

import java.time.DateTimeException;
import java.time.Duration;
import java.time.Instant;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/** The wait that a server asks for: {@code retry-after-ms}, else {@code Retry-After} in seconds or as a date. */
final class RetryAfter {
    /** The longest wait that this class returns. It is longer than any job may take. */
    private static final Duration LONGEST = Duration.ofDays(365);

    private RetryAfter() {}

    /**
     * @param header returns a response's header by its name; null if there is none
     * @return the wait; null if the server asks for none, or in an unknown form
     */
    static @Nullable Duration of(UnaryOperator<@Nullable String> header, Instant now) {
        Duration millis = number(header.apply("retry-after-ms"), 1);
        if (millis != null) {
            return millis;
        }
        String value = header.apply("Retry-After");
        Duration seconds = number(value, 1_000);
        if (seconds != null || value == null) {
            return seconds;
        }
        Instant until = date(value);
        if (until == null) {
            return null;
        }
        // uses the server's own clock if the server sends its time
        Instant there = date(header.apply("Date"));
        return atMost(Duration.between(there == null ? now : there, until));
    }

    private static @Nullable Duration number(@Nullable String value, double unitMillis) {
        if (value == null) {
            return null;
        }
        try {
            double millis = Double.parseDouble(value.strip()) * unitMillis;
            return Double.isNaN(millis) ? null : atMost(Duration.ofMillis((long) Math.ceil(millis)));
        } catch (NumberFormatException _) {
            return null;
        }
    }

    private static @Nullable Instant date(@Nullable String value) {
        if (value == null) {
            return null;
        }
        try {
            return ZonedDateTime.parse(value.strip(), DateTimeFormatter.RFC_1123_DATE_TIME)
                    .toInstant();
        } catch (DateTimeException _) {
            return null;
        }
    }

    private static Duration atMost(Duration wait) {
        return wait.isNegative() ? Duration.ZERO : wait.compareTo(LONGEST) > 0 ? LONGEST : wait;
    }
}
