package dev.penstock.wire;

import java.util.Locale;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** Describes the reason for a failure, for logs and callers: one line in plain words, without class names. */
public final class Reason {
    private static final Pattern CLASS = Pattern.compile(
            "(?:(?:[a-z][a-z0-9_]*\\.)+[A-Z][\\w$]*(?:Exception|Error)|(?:class )?(?:java|javax|jakarta|org|com|io|dev)\\.(?:[a-z0-9_]+\\.)+[A-Z][\\w$]*)\\b:?\\s*");
    private static final Pattern WORDS = Pattern.compile("(?<=[a-z])(?=[A-Z])");
    private static final Pattern KIND = Pattern.compile("(?:Exception|Error)$");
    private static final int MOST_CAUSES = 10;

    private Reason() {}

    /**
     * Returns the message of the first cause that has a message. If no cause has one, returns a description of its
     * class.
     */
    public static String of(@Nullable Throwable failure) {
        Throwable cause = failure;
        for (int i = 0; cause != null && i < MOST_CAUSES; i++) {
            String words = plain(cause.getMessage());
            boolean onlyWraps = cause.getCause() != null
                    && String.valueOf(cause.getMessage()).equals(String.valueOf(cause.getCause()));
            if (!words.isEmpty() && !onlyWraps) {
                return words;
            }
            if (cause.getCause() == null) {
                break;
            }
            cause = cause.getCause();
        }
        return cause == null ? "no reason was given" : kind(cause);
    }

    /** Returns a message without class names. */
    public static String plain(@Nullable String message) {
        return message == null
                ? ""
                : Json.firstLine(CLASS.matcher(message).replaceAll("")).strip();
    }

    /** Turns the name of an exception's class into words: {@code UnknownHostException} becomes "unknown host". */
    private static String kind(Throwable cause) {
        String name = KIND.matcher(cause.getClass().getSimpleName()).replaceFirst("");
        return name.isEmpty()
                ? "it failed"
                : String.join(" ", WORDS.split(name)).toLowerCase(Locale.ROOT);
    }
}
