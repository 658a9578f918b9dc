package dev.penstock.node.protocol.answer;

/** Detects the end of a JSON object or array, character by character. Not thread-safe. */
final class JsonEnd {
    private int depth;
    private boolean inString;
    private boolean escaped;
    private boolean complete;

    void take(char next) {
        if (inString) {
            inString = escaped || next != '"';
            escaped = !escaped && next == '\\';
            return;
        }
        switch (next) {
            case '"' -> inString = true;
            case '{', '[' -> depth++;
            case '}', ']' -> {
                depth--;
                complete = depth <= 0;
            }
            default -> {
                // part of a number, a word or a space
            }
        }
    }

    void take(String text) {
        for (int i = 0; i < text.length(); i++) {
            take(text.charAt(i));
        }
    }

    boolean isInString() {
        return inString;
    }

    /** Returns whether an object or array has begun and ended. */
    boolean isComplete() {
        return complete;
    }
}
