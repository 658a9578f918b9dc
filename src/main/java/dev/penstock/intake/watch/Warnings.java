package dev.penstock.intake.watch;

import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Predicate;
import java.util.function.Supplier;
import org.jboss.logging.Logger;

/** The warnings for the operator, by their subject. Each warning is logged once. Thread-safe. */
final class Warnings {
    private static final Logger LOG = Logger.getLogger(Warnings.class);

    private final Map<String, String> inForce = new ConcurrentHashMap<>();

    /** Sets the warning about a subject. If the text has changed, the new text replaces the old text. */
    void warn(String about, String words) {
        if (!words.equals(inForce.put(about, words))) {
            LOG.warn(words);
        }
    }

    /**
     * Sets a warning, and keeps its first text until the warning ends, because a later text would only have other
     * numbers.
     */
    void warnOnce(String about, Supplier<String> words) {
        if (!inForce.containsKey(about)) {
            warn(about, words.get());
        }
    }

    void end(String about) {
        inForce.remove(about);
    }

    void endIf(Predicate<String> about) {
        inForce.keySet().removeIf(about);
    }

    boolean isInForce(String about) {
        return inForce.containsKey(about);
    }

    Map<String, String> all() {
        return new TreeMap<>(inForce);
    }
}
