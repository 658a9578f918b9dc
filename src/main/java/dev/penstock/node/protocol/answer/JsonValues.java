package dev.penstock.node.protocol.answer;

import java.util.ArrayList;
import java.util.List;

/**
 * Assembles JSON values from lines. A value may span several lines, and a line may have several values. Text outside of
 * objects and arrays is one value up to the end of its line. Not thread-safe.
 */
final class JsonValues {
    private final int longest;
    private final StringBuilder held = new StringBuilder();
    private JsonEnd end = new JsonEnd();

    /** @param longest the longest value, in characters; a longer value is cut */
    JsonValues(int longest) {
        this.longest = longest;
    }

    /** @return the values that this line completes */
    List<String> add(String line) {
        if (held.isEmpty() && isOneValue(line)) {
            return List.of(line);
        }
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
            // a JSON string cannot contain a line break, so this string is truncated
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

    /** Returns whether a line is exactly one object or array. Most lines are. */
    private static boolean isOneValue(String line) {
        int depth = 0;
        for (int i = 0; i < line.length(); i++) {
            switch (line.charAt(i)) {
                case '"' -> {
                    i = endOfString(line, i + 1);
                    if (i < 0) {
                        return false;
                    }
                }
                case '{', '[' -> depth++;
                case '}', ']' -> {
                    depth--;
                    if (depth <= 0) {
                        return depth == 0 && i == line.length() - 1;
                    }
                }
                default -> {
                    if (depth == 0) {
                        return false;
                    }
                }
            }
            if (depth == 0) {
                return false;
            }
        }
        return false;
    }

    /** Returns the place of the quotation mark that ends a string; -1 if the line has none or breaks in the string. */
    private static int endOfString(String line, int from) {
        boolean escaped = false;
        for (int i = from; i < line.length(); i++) {
            char next = line.charAt(i);
            if (next == '\n') {
                return -1;
            }
            if (!escaped && next == '"') {
                return i;
            }
            escaped = !escaped && next == '\\';
        }
        return -1;
    }

    /** Removes and returns the value that has begun but has not ended; empty if there is none. */
    String rest() {
        String rest = held.toString().strip();
        held.setLength(0);
        end = new JsonEnd();
        return rest;
    }
}
