package dev.penstock.node.program;

import java.util.List;

/** Passes text through, but holds back the end of the text if it may be the beginning of a mark. Not thread-safe. */
final class HeldText {
    private final List<String> marks;
    private final StringBuilder held = new StringBuilder();

    /** @param marks the marks; no mark is empty */
    HeldText(List<String> marks) {
        this.marks = List.copyOf(marks);
    }

    /** Adds text. Returns the held text up to the possible beginning of a mark at its end. */
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
