package dev.penstock.wire.schema;

import com.google.re2j.Pattern;
import com.google.re2j.PatternSyntaxException;
import com.networknt.schema.regex.RegularExpression;
import com.networknt.schema.regex.RegularExpressionFactory;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Optional;

/**
 * Regular expressions whose time grows only with the length of the text. They have no back references and no
 * look-around. Java's own expressions can need exponential time, and no thread can stop them.
 */
final class LinearPattern implements RegularExpressionFactory {
    static final int LONGEST = 1_000;
    /** The largest size of a pattern with its repetitions written out. RE2 needs memory for each part of it. */
    static final int LARGEST = 10_000;
    /** The part of a match, in instructions times characters, that costs as much as one step. */
    private static final int WORK = 64;

    private final Steps steps;

    LinearPattern(Steps steps) {
        this.steps = steps;
    }

    /** Returns why this pattern is not accepted; empty if it is. */
    static Optional<String> mistake(String regex) {
        if (regex.length() > LONGEST) {
            return Optional.of("a pattern has up to %d characters".formatted(LONGEST));
        }
        if (regex.contains("\\Q") || sizeOf(regex) > LARGEST) {
            return Optional.of("the pattern repeats too much");
        }
        try {
            var _ = Pattern.compile(regex);
            return Optional.empty();
        } catch (PatternSyntaxException e) {
            return Optional.of(
                    "not a pattern of RE2 (it has no look-around and no back references): " + e.getDescription());
        } catch (RuntimeException | StackOverflowError _) {
            return Optional.of("not a pattern of RE2");
        }
    }

    @Override
    public RegularExpression getRegularExpression(String regex) {
        Pattern pattern = Pattern.compile(regex);
        long size = pattern.programSize();
        return text -> {
            steps.take(1 + size * text.length() / WORK);
            return pattern.matcher(text).find();
        };
    }

    /** Returns the size of a pattern with its counted repetitions written out. It may be too high, but not too low. */
    private static long sizeOf(String regex) {
        Deque<Long> outer = new ArrayDeque<>();
        long total = 0;
        long last = 0;
        int i = 0;
        while (i < regex.length()) {
            char c = regex.charAt(i);
            int next = i + 1;
            if (c == '(') {
                outer.push(total);
                total = 0;
                last = 0;
            } else if (c == ')') {
                last = total + 1;
                total = last + (outer.isEmpty() ? 0 : outer.pop());
            } else if (c == '{' && repeatEnd(regex, i) > 0) {
                next = repeatEnd(regex, i);
                long times = times(regex.substring(i + 1, next - 1));
                total = Math.min(Integer.MAX_VALUE, total + last * times);
                last = Math.min(Integer.MAX_VALUE, last * (1 + times));
            } else {
                next = c == '\\' ? i + 2 : c == '[' ? classEnd(regex, i) : next;
                last = 1;
                total++;
            }
            i = next;
        }
        while (!outer.isEmpty()) {
            total += outer.pop();
        }
        return total;
    }

    /** Returns the index after a counted repetition; 0 if there is none at this place. */
    private static int repeatEnd(String regex, int from) {
        int i = from + 1;
        while (i < regex.length() && (Character.isDigit(regex.charAt(i)) || regex.charAt(i) == ',')) {
            i++;
        }
        return i > from + 1 && i < regex.length() && regex.charAt(i) == '}' ? i + 1 : 0;
    }

    private static long times(String counts) {
        long most = 0;
        for (String count : counts.split(",", -1)) {
            // RE2 refuses counts above 1,000
            most = Math.max(most, count.isEmpty() ? 0 : count.length() > 4 ? Integer.MAX_VALUE : Long.parseLong(count));
        }
        return most;
    }

    /** Returns the index after a class of characters. */
    private static int classEnd(String regex, int from) {
        int i = from + 1;
        if (i < regex.length() && regex.charAt(i) == '^') {
            i++;
        }
        // a bracket at the beginning is a character of the class
        int first = i;
        while (i < regex.length() && (regex.charAt(i) != ']' || i == first)) {
            if (regex.startsWith("[:", i) && regex.indexOf(":]", i) > 0) {
                i = regex.indexOf(":]", i) + 2;
            } else {
                i += regex.charAt(i) == '\\' ? 2 : 1;
            }
        }
        return i + 1;
    }
}
