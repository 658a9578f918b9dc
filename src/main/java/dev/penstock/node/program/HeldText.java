package dev.penstock.node.program;

import java.util.List;

/** Passes text on, but holds back an end that may be the beginning of a mark. Not thread-safe. */
final class HeldText {
    private final List<String> marks;
    private final StringBuilder held = new StringBuilder();

    /** @param marks none is empty */
    HeldText(List<String> marks) {
        this.marks = List.copyOf(marks);
    }

    /** Returns the text that is certainly before any mark that reaches to the end. */
    String through(String text) {
        held.append(text);
        int keep = longestBeginning();
        String through = held.substring(0, held.length() - keep);
        held.delete(0, held.length() - keep);
        return through;
    }

    /** Returns the text that is held back. */
    String held() {
        return held.toString();
    }

    private int longestBeginning() {
        int longest = 0;
        for (String mark : marks) {
            for (int length = Math.min(mark.length(), held.length()); length > longest; length--) {
                if (mark.startsWith(held.substring(held.length() - length))) {
                    longest = length;
                }
            }
        }
        return longest;
    }
}
