package dev.penstock.settings.read;

import dev.penstock.settings.Backend;
import dev.penstock.wire.ModelName;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** The mistakes of a configuration, each with its key, and the checks that all readers share. */
final class Mistakes {
    static final String MODEL_NAME_RULE =
            "a model's name has 1 to %d characters on one line".formatted(ModelName.LONGEST);

    private static final Duration LONGEST = Duration.ofDays(365);

    static final String TOO_LONG = "must be at most %d days".formatted(LONGEST.toDays());

    private final List<String> lines = new ArrayList<>();

    Optional<Backend> backend(String key, String value) {
        Optional<Backend> backend = Backend.of(value);
        if (backend.isEmpty()) {
            mistake(key, "'%s' is none of %s".formatted(value, Backend.all()));
        }
        return backend;
    }

    void modelName(String key, String name) {
        if (!ModelName.isUsable(name)) {
            mistake(key, MODEL_NAME_RULE);
        }
    }

    /** Returns whether a duration is too long to count with. */
    static boolean isTooLong(Duration value) {
        return value.compareTo(LONGEST) > 0;
    }

    void positive(String key, Duration value) {
        if (!value.isPositive()) {
            mistake(key, "must be a positive duration");
        } else if (isTooLong(value)) {
            mistake(key, TOO_LONG);
        }
    }

    void atLeast(String key, int value, int least) {
        if (value < least) {
            mistake(key, "must be at least " + least);
        }
    }

    void mistake(String key, String message) {
        lines.add("penstock." + key + ": " + message);
    }

    /** Adds a mistake that belongs to no key of Penstock. */
    void line(String mistake) {
        lines.add(mistake);
    }

    List<String> lines() {
        return lines;
    }
}
