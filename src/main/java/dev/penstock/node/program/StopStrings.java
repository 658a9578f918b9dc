package dev.penstock.node.program;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Ends a text before the first stop string, even if the stop string is cut into several pieces. Not thread-safe. */
final class StopStrings {
    private final List<String> stops;
    private final HeldText beginnings;
    private boolean found;
    private String foundString = "";

    StopStrings(List<String> stops) {
        this.stops = List.copyOf(stops);
        beginnings = new HeldText(stops);
    }

    /** Reads the value of the job's field {@code stop}: a string, or a list of strings. */
    static StopStrings of(@Nullable Object stop) {
        List<String> stops = new ArrayList<>();
        for (Object one : stop instanceof List<?> many ? many : stop == null ? List.of() : List.of(stop)) {
            if (one instanceof String text && !text.isEmpty()) {
                stops.add(text);
            }
        }
        return new StopStrings(stops);
    }

    /** Adds text. Returns the part before any stop string, and holds back a possible beginning of one. */
    String through(String text) {
        String all = beginnings.held() + text;
        int first = -1;
        for (String stop : stops) {
            int at = all.indexOf(stop);
            if (at >= 0 && (first < 0 || at < first)) {
                first = at;
                foundString = stop;
            }
        }
        if (first < 0) {
            return beginnings.through(text);
        }
        found = true;
        return all.substring(0, first);
    }

    boolean isEmpty() {
        return stops.isEmpty();
    }

    boolean isFound() {
        return found;
    }

    /** Returns the stop string that ended the text; empty if there is none. */
    String foundString() {
        return foundString;
    }

    /** Ends the text. Returns the text that was held back, which contains no stop string. */
    String rest() {
        return found ? "" : beginnings.held();
    }
}
