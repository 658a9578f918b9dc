package dev.penstock.wire.document;

import dev.penstock.job.PublishedText;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The text of a job's answer so far, as a reader of the job's valid events has it. A {@code started} makes the text
 * before it void. If it continues an earlier text, it makes only the text after the chunk that it names void. Not
 * thread-safe: the thread that reads the events owns it.
 */
public final class TextSoFar {
    /** The longest text that is kept, in characters. A longer text is not kept at all. */
    public static final int MOST_CHARS = 1_000_000;

    /**
     * The characters of an average token. A chunk does not tell how many tokens it has, so the tokens of an earlier run
     * can only be estimated.
     */
    private static final int CHARS_OF_A_TOKEN = 4;

    private final StringBuilder text = new StringBuilder();
    /** The chunks whose text is kept, in order. */
    private final List<Mark> marks = new ArrayList<>();
    /** The attempts that wrote them, and the current attempt, in order. */
    private final List<Writer> writers = new ArrayList<>();

    /** Whether the text is known as a whole, and is all of the answer. */
    private boolean whole;

    /** @param length the length of the text after the chunk */
    private record Mark(PublishedText.Place place, int length) {}

    private record Writer(int attempt, String node, String model) {}

    /**
     * Takes a {@code started}.
     *
     * @param from the chunk after which the text goes on; null if the text starts over
     */
    public void started(int attempt, String node, String model, PublishedText.@Nullable Place from) {
        if (from == null) {
            clear();
            whole = true;
        } else {
            keepUpTo(from);
        }
        writers.add(new Writer(attempt, node, model));
    }

    private void keepUpTo(PublishedText.Place from) {
        while (!marks.isEmpty() && isAfter(marks.getLast().place(), from)) {
            marks.removeLast();
        }
        if (marks.isEmpty() || !marks.getLast().place().equals(from)) {
            // the reader has not seen the chunk that the attempt continues
            clear();
            return;
        }
        text.setLength(marks.getLast().length());
        writers.removeIf(writer -> writer.attempt() > from.attempt());
    }

    private static boolean isAfter(PublishedText.Place one, PublishedText.Place other) {
        return one.attempt() > other.attempt() || (one.attempt() == other.attempt() && one.seq() > other.seq());
    }

    /**
     * Takes a chunk.
     *
     * @param piece the chunk's text; empty if the chunk has more than plain text of one choice, or ends the answer
     */
    public void chunk(PublishedText.Place place, Optional<String> piece) {
        if (!whole) {
            return;
        }
        if (piece.isEmpty() || text.length() + piece.get().length() > MOST_CHARS) {
            clear();
            return;
        }
        text.append(piece.get());
        marks.add(new Mark(place, text.length()));
    }

    private void clear() {
        whole = false;
        text.setLength(0);
        marks.clear();
        writers.clear();
    }

    /** Returns the text; empty if it is not known as a whole. */
    public Optional<String> text() {
        return whole ? Optional.of(text.toString()) : Optional.empty();
    }

    /** Returns the text that another attempt can continue; empty if there is none. */
    public Optional<PublishedText> published() {
        if (!whole || text.isEmpty()) {
            return Optional.empty();
        }
        List<PublishedText.Segment> segments = new ArrayList<>();
        int begin = 0;
        for (int i = 0; i < marks.size(); ) {
            Mark first = marks.get(i);
            while (i < marks.size()
                    && marks.get(i).place().attempt() == first.place().attempt()) {
                i++;
            }
            int end = marks.get(i - 1).length();
            if (end > begin) {
                segments.add(segment(first.place(), end - begin));
            }
            begin = end;
        }
        PublishedText published =
                new PublishedText(text.toString(), marks.getLast().place(), segments);
        return published.endsInsideCodePoint() ? Optional.empty() : Optional.of(published);
    }

    private PublishedText.Segment segment(PublishedText.Place first, int chars) {
        Writer writer = writers.stream()
                .filter(one -> one.attempt() == first.attempt())
                .findFirst()
                .orElseThrow();
        return new PublishedText.Segment(
                writer.node(),
                writer.model(),
                writer.attempt(),
                first.seq(),
                (chars + CHARS_OF_A_TOKEN - 1) / CHARS_OF_A_TOKEN);
    }
}
