package dev.penstock.node;

import java.util.ArrayList;
import java.util.List;

/**
 * JSON values out of lines: one over several lines, several on one line. What is no object or array is a value to the end of its
 * line. Not thread-safe.
 */
final class JsonValues {
    private final int longest;
    private final StringBuilder held = new StringBuilder();
    private JsonEnd end = new JsonEnd();

    /** @param longest value, in characters: a longer one is cut */
    JsonValues(int longest) {
        this.longest = longest;
    }

    /** @return the values that this line completes */
    List<String> add(String line) {
        List<String> values = new ArrayList<>(1);
        int start = 0;
        for (int i = 0; i < line.length(); i++) {
            char next = line.charAt(i);
            if (held.isEmpty() && start == i && next != '{' && next != '[') {
                int lineEnd = line.indexOf('\n', i);
                int to = lineEnd < 0 ? line.length() : lineEnd;
                if (!Character.isWhitespace(next)) {
                    values.add(line.substring(i, to).strip());
                    i = to;
                }
                start = i + 1;
                continue;
            }
            end.take(next);
            // no string goes over a line: this one is cut
            if (end.isComplete() || (next == '\n' && end.isInString())) {
                held.append(line, start, i + 1);
                values.add(rest());
                start = i + 1;
            }
        }
        if (start < line.length()) {
            held.append(line, start, line.length()).append('\n');
        } else if (!held.isEmpty()) {
            held.append('\n');
        }
        if (!held.isEmpty() && (end.isInString() || held.length() > longest)) {
            values.add(rest());
        }
        return values;
    }

    /** What has begun and not ended; empty: nothing. */
    String rest() {
        String rest = held.toString().strip();
        held.setLength(0);
        end = new JsonEnd();
        return rest;
    }
}
