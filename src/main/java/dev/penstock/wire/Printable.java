package dev.penstock.wire;

/**
 * Makes text from outside safe for a terminal and a log. The result cannot move the cursor, change the terminal,
 * imitate a line of Penstock, or change the order of the text around it. Letters of any script, marks and emoji stay.
 */
public final class Printable {
    private static final int REPLACEMENT = 0xFFFD;

    private Printable() {}

    /**
     * Returns text of many lines, for a terminal. Line ends and tabs stay; U+FFFD replaces characters that are not
     * printable.
     */
    public static String text(String text) {
        int clean = cleanUpTo(text, true);
        if (clean == text.length()) {
            return text;
        }
        StringBuilder printable = new StringBuilder(text.length()).append(text, 0, clean);
        text.codePoints().skip(text.codePointCount(0, clean)).forEach(character -> {
            if (isPrintable(character) || isLayout(character)) {
                printable.appendCodePoint(character);
            } else if (character != '\r') {
                printable.appendCodePoint(REPLACEMENT);
            }
        });
        return printable.toString();
    }

    /**
     * Returns text as one line, for a log and for messages. Characters that are not printable become escapes such as
     * {@code \n}.
     */
    public static String line(String text) {
        int clean = cleanUpTo(text, false);
        if (clean == text.length()) {
            return text;
        }
        StringBuilder printable = new StringBuilder(text.length() + 16).append(text, 0, clean);
        text.codePoints().skip(text.codePointCount(0, clean)).forEach(character -> {
            if (isPrintable(character)) {
                printable.appendCodePoint(character);
            } else {
                printable.append(escape(character));
            }
        });
        return printable.toString();
    }

    /** Returns the length of the printable beginning. Most text is printable as a whole, and is not copied. */
    private static int cleanUpTo(String text, boolean layout) {
        for (int i = 0; i < text.length(); ) {
            int character = text.codePointAt(i);
            if (!isPrintable(character) && !(layout && isLayout(character))) {
                return i;
            }
            i += Character.charCount(character);
        }
        return text.length();
    }

    private static boolean isLayout(int character) {
        return character == '\n' || character == '\t';
    }

    private static boolean isPrintable(int character) {
        return switch (Character.getType(character)) {
            // C0 (which includes ESC), DEL, and C1: a terminal reads each C1 character as a sequence such as ESC [
            case Character.CONTROL, Character.SURROGATE, Character.LINE_SEPARATOR, Character.PARAGRAPH_SEPARATOR ->
                false;
            // allows the zero-width joiner, which combines emoji, and the non-joiner, which letters need
            case Character.FORMAT -> !isDirection(character);
            default -> (character & 0xFFFE) != 0xFFFE;
        };
    }

    /**
     * Returns whether a character is an embedding, an override or an isolate. They can reverse the text that follows.
     */
    private static boolean isDirection(int character) {
        return (character >= 0x202A && character <= 0x202E) || (character >= 0x2066 && character <= 0x2069);
    }

    private static String escape(int character) {
        return switch (character) {
            case '\n' -> "\\n";
            case '\r' -> "\\r";
            case '\t' -> "\\t";
            default -> "\\u%04x".formatted(character);
        };
    }
}
