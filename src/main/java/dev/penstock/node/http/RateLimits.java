package dev.penstock.node.http;

import java.time.DateTimeException;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The limits that a provider reports with each answer: {@code x-ratelimit-remaining-*} and {@code x-ratelimit-reset-*},
 * or {@code anthropic-ratelimit-*-remaining} and {@code anthropic-ratelimit-*-reset}.
 */
final class RateLimits {
    private static final List<Names> NAMES = Stream.concat(
                    Stream.of("-requests", "-tokens", "")
                            .map(kind -> new Names("x-ratelimit-remaining" + kind, "x-ratelimit-reset" + kind)),
                    Stream.of("requests", "tokens", "input-tokens", "output-tokens")
                            .map(kind -> new Names(
                                    "anthropic-ratelimit-" + kind + "-remaining",
                                    "anthropic-ratelimit-" + kind + "-reset")))
            .toList();

    /** Matches one part of a duration such as 6m0s or 120ms. */
    private static final Pattern PART = Pattern.compile("(\\d+(?:\\.\\d+)?)(d|h|ms|us|µs|ns|m|s)");

    private static final Pattern DURATION = Pattern.compile("(?:" + PART.pattern() + ")+");

    /** Numbers from here on are seconds since 1970, and no duration. */
    private static final double FIRST_SECOND = 1e9;
    /** Numbers from here on are milliseconds since 1970. */
    private static final double FIRST_MILLI = 1e11;

    private RateLimits() {}

    private record Names(String remaining, String reset) {}

    /**
     * Returns the time until all limits without a rest are reset.
     *
     * @param header returns a response's header by its name; null if there is none
     * @return null if no limit is used up, or if no used-up limit has a time
     */
    static @Nullable Duration untilReset(UnaryOperator<@Nullable String> header, Instant now) {
        Duration longest = null;
        for (Names names : NAMES) {
            if (isUsedUp(header.apply(names.remaining()))) {
                Duration reset = reset(header.apply(names.reset()), now);
                longest = reset != null && (longest == null || reset.compareTo(longest) > 0) ? reset : longest;
            }
        }
        return longest;
    }

    private static boolean isUsedUp(@Nullable String remaining) {
        Double count = number(remaining);
        return count != null && count <= 0;
    }

    private static @Nullable Duration reset(@Nullable String value, Instant now) {
        if (value == null) {
            return null;
        }
        String text = value.strip();
        Double number = number(text);
        Duration reset = number == null
                ? DURATION.matcher(text).matches() ? sum(text) : until(text, now)
                : number >= FIRST_MILLI
                        ? Duration.between(now, Instant.ofEpochMilli(number.longValue()))
                        : number >= FIRST_SECOND
                                ? Duration.between(now, Instant.ofEpochSecond(number.longValue()))
                                : millis(number * 1_000);
        return reset == null || reset.isNegative() ? null : reset;
    }

    private static @Nullable Double number(@Nullable String value) {
        try {
            return value == null ? null : Double.valueOf(value.strip());
        } catch (NumberFormatException _) {
            return null;
        }
    }

    private static Duration sum(String text) {
        double millis = 0;
        for (Matcher part = PART.matcher(text); part.find(); ) {
            millis += Double.parseDouble(part.group(1))
                    * switch (part.group(2)) {
                        case "d" -> 86_400_000;
                        case "h" -> 3_600_000;
                        case "m" -> 60_000;
                        case "s" -> 1_000;
                        case "ms" -> 1;
                        default -> 0;
                    };
        }
        return millis(millis);
    }

    private static Duration millis(double millis) {
        return Duration.ofMillis((long) Math.ceil(millis));
    }

    private static @Nullable Duration until(String text, Instant now) {
        try {
            return Duration.between(now, Instant.parse(text));
        } catch (DateTimeException _) {
            return null;
        }
    }
}
