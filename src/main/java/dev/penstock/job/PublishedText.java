package dev.penstock.job;

import java.util.List;

/**
 * The text of an answer that is on the reply topic and has not ended, so that another attempt can continue it.
 *
 * @param text the text of all valid chunks; never empty
 * @param last the last of these chunks
 * @param segments which attempt wrote which part, in the order of the text; never empty
 */
public record PublishedText(String text, Place last, List<Segment> segments) {
    public PublishedText {
        segments = List.copyOf(segments);
        if (text.isEmpty() || segments.isEmpty()) {
            throw new IllegalArgumentException("nothing is published");
        }
    }

    /** The place of a chunk among the events of its job. */
    public record Place(int attempt, long seq) {}

    /**
     * The part of an answer's text that one attempt wrote.
     *
     * @param fromSeq the seq of the part's first chunk, among the events of the attempt
     * @param completionTokens the tokens of the part
     */
    public record Segment(String node, String model, int attempt, long fromSeq, long completionTokens) {}

    /** Returns the model that wrote the end of the text. */
    public String model() {
        return segments.getLast().model();
    }

    /** Returns the number of the text's tokens. */
    public long tokens() {
        return segments.stream().mapToLong(Segment::completionTokens).sum();
    }

    /** Returns whether the text ends inside a code point. No server can continue such a text. */
    public boolean endsInsideCodePoint() {
        return Character.isHighSurrogate(text.charAt(text.length() - 1));
    }
}
