package dev.penstock.node;

import java.time.DateTimeException;
import java.time.Duration;
import java.time.Instant;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/** How long a server asks to be left alone: {@code retry-after-ms}, else {@code Retry-After} in seconds or as a date. */
final class RetryAfter {
    /** Longer than any job may take. */
    private static final Duration LONGEST = Duration.ofDays(365);

    private RetryAfter() {}

    /**
     * @param header a response's header by its name; null where there is none
     * @return null: the server does not say, or not in a form that is known
     */
    static @Nullable Duration of(UnaryOperator<@Nullable String> header, Instant now) {
        Duration millis = number(header.apply("retry-after-ms"), 1);
        if (millis != null) {
            return millis;
        }
        String said = header.apply("Retry-After");
        Duration seconds = number(said, 1_000);
        if (seconds != null || said == null) {
            return seconds;
        }
        Instant until = date(said);
        if (until == null) {
            return null;
        }
        // by the server's own clock, where it tells it
        Instant there = date(header.apply("Date"));
        return atMost(Duration.between(there == null ? now : there, until));
    }

    private static @Nullable Duration number(@Nullable String said, double unitMillis) {
        if (said == null) {
            return null;
        }
        try {
            double millis = Double.parseDouble(said.strip()) * unitMillis;
            return Double.isNaN(millis) ? null : atMost(Duration.ofMillis((long) Math.ceil(millis)));
        } catch (NumberFormatException _) {
            return null;
        }
    }

    private static @Nullable Instant date(@Nullable String said) {
        if (said == null) {
            return null;
        }
        try {
            return ZonedDateTime.parse(said.strip(), DateTimeFormatter.RFC_1123_DATE_TIME)
                    .toInstant();
        } catch (DateTimeException _) {
            return null;
        }
    }

    private static Duration atMost(Duration wait) {
        return wait.isNegative() ? Duration.ZERO : wait.compareTo(LONGEST) > 0 ? LONGEST : wait;
    }
}
