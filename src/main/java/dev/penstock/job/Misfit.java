package dev.penstock.job;

import java.util.List;

/**
 * An answer that does not fit its job's schema.
 *
 * @param text the text of the answer
 * @param violations what is wrong with the text; never empty, and limited in number and length
 */
public record Misfit(String text, List<Violation> violations) {
    /** The longest text that a failure has, in characters. */
    public static final int LONGEST_TEXT = 65_536;

    /**
     * One place where the answer does not fit.
     *
     * @param path the place in the answer, as a JSON pointer; empty for the whole answer
     * @param message what is wrong there, in one line
     */
    public record Violation(String path, String message) {}

    public Misfit {
        violations = List.copyOf(violations);
        if (violations.isEmpty()) {
            throw new IllegalArgumentException("a misfit has a violation");
        }
    }

    /** Returns the beginning of the text that a failure has. It does not end inside a code point. */
    public String shortText() {
        if (text.length() <= LONGEST_TEXT) {
            return text;
        }
        boolean insideCodePoint = Character.isHighSurrogate(text.charAt(LONGEST_TEXT - 1));
        return text.substring(0, insideCodePoint ? LONGEST_TEXT - 1 : LONGEST_TEXT);
    }
}
