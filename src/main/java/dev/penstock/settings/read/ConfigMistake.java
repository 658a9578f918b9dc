package dev.penstock.settings.read;

import dev.penstock.wire.Reason;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * A mistake that SmallRye found in a configuration. It has the form of all other mistakes: the key, then plain words.
 *
 * @param key the wrong key; null if SmallRye's message has none
 * @param isMissing whether a required key is absent
 */
public record ConfigMistake(@Nullable String key, String words, boolean isMissing) {
    private static final Pattern CODE = Pattern.compile("SRCFG\\d+: ");
    private static final Pattern REQUIRED = Pattern.compile("(?s).*config property (\\S+) is required.*");
    private static final Pattern EMPTY =
            Pattern.compile("(?s).*config property (\\S+) is defined as the empty String.*");
    private static final Pattern UNKNOWN = Pattern.compile("(?s)(\\S+) .*does not map to any root.*");
    private static final Pattern WRONG = Pattern.compile(
            "(?s).*config property (\\S+) with the config value \"(.*?)\" threw an Exception whilst being converted:? ?(.*)");
    private static final Pattern UNSET = Pattern.compile("(?s).*Could not expand value (\\S+) in property (\\S+).*");

    public static ConfigMistake of(String problem) {
        String plain = Reason.plain(CODE.matcher(problem).replaceAll(""));
        Matcher required = REQUIRED.matcher(plain);
        if (required.matches()) {
            return new ConfigMistake(required.group(1), "is missing", true);
        }
        Matcher empty = EMPTY.matcher(plain);
        if (empty.matches()) {
            return new ConfigMistake(empty.group(1), "has no value", true);
        }
        Matcher wrong = WRONG.matcher(plain);
        if (wrong.matches()) {
            String why = wrong.group(3).isBlank() ? "is not a valid value" : wrong.group(3);
            return new ConfigMistake(wrong.group(1), "'%s': %s".formatted(wrong.group(2), uncapitalised(why)), false);
        }
        Matcher unset = UNSET.matcher(plain);
        if (unset.matches()) {
            return new ConfigMistake(
                    unset.group(2),
                    "the variable %s is not set. Set it, or write ${%s:} for none"
                            .formatted(unset.group(1), unset.group(1)),
                    true);
        }
        Matcher unknown = UNKNOWN.matcher(plain);
        return unknown.matches()
                ? new ConfigMistake(unknown.group(1), "there is no such key", false)
                : new ConfigMistake(null, plain, false);
    }

    private static String uncapitalised(String words) {
        return words.substring(0, 1).toLowerCase(Locale.ROOT) + words.substring(1);
    }

    @Override
    public String toString() {
        return key == null ? words : key.replace("\"", "") + ": " + words;
    }
}
