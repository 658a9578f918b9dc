package dev.penstock.testkit.upstream;

import java.time.Duration;
import java.util.Arrays;
import java.util.List;

/**
 * Where a response is cut into pieces. Each piece is flushed alone.
 *
 * @param cuts positions from the first byte on, ascending
 * @param size the size of each piece after the last cut; 0 for no further cuts
 */
public record Pieces(List<Integer> cuts, int size, Duration pause) {
    static final Pieces WHOLE = new Pieces(List.of(), 0, Duration.ZERO);

    public Pieces {
        cuts = List.copyOf(cuts);
    }

    static Pieces at(int... positions) {
        return new Pieces(Arrays.stream(positions).sorted().boxed().toList(), 0, Duration.ZERO);
    }

    static Pieces of(int size) {
        if (size < 1) {
            throw new IllegalArgumentException("pieces of " + size + " bytes");
        }
        return new Pieces(List.of(), size, Duration.ZERO);
    }

    Pieces pausing(Duration between) {
        return new Pieces(cuts, size, between);
    }

    boolean whole() {
        return cuts.isEmpty() && size == 0;
    }

    /** Returns the first cut after this position. */
    long after(long position) {
        for (int cut : cuts) {
            if (cut > position) {
                return cut;
            }
        }
        return size == 0 ? Long.MAX_VALUE : (position / size + 1) * size;
    }
}
