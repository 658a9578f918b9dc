package dev.penstock.wire;

import java.time.DateTimeException;
import java.time.Duration;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Parses durations as people write them: {@code 500ms}, {@code 90s}, {@code 5m}, {@code 1h30m}, {@code 2d}; or in ISO
 * 8601, {@code PT5M}. Job documents, the REST parameters and the command line all use this class.
 */
public final class Durations {
    /** The example in error messages. */
    public static final String EXAMPLE = "a duration such as 5m, 1h30m or PT5M";

    private static final Pattern SHORT =
            Pattern.compile("(?:(\\d{1,9})d)?(?:(\\d{1,9})h)?(?:(\\d{1,9})m)?(?:(\\d{1,9})s)?(?:(\\d{1,12})ms)?");

    private Durations() {}

    /**
     * Returns the duration; empty if the text is not a duration. The caller must check the sign, because ISO 8601
     * allows negative durations.
     */
    public static Optional<Duration> parse(String text) {
        String lower = text.strip().toLowerCase(Locale.ROOT);
        Matcher matcher = SHORT.matcher(lower);
        if (!lower.isEmpty() && matcher.matches()) {
            return Optional.of(Duration.ofDays(part(matcher, 1))
                    .plusHours(part(matcher, 2))
                    .plusMinutes(part(matcher, 3))
                    .plusSeconds(part(matcher, 4))
                    .plusMillis(part(matcher, 5)));
        }
        try {
            return Optional.of(Duration.parse(lower));
        } catch (DateTimeException | ArithmeticException _) {
            return Optional.empty();
        }
    }

    private static long part(Matcher matcher, int group) {
        return matcher.group(group) == null ? 0 : Long.parseLong(matcher.group(group));
    }
}
