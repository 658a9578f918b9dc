package dev.penstock.schedule.time;

import java.util.Comparator;
import java.util.HashMap;
import java.util.Map;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * For each waiting job that avoids nodes for a time: the next time when one of these nodes opens. Not thread-safe.
 *
 * @param <W> a waiting job
 */
public final class Openings<W> {
    private static final long NEVER = Long.MAX_VALUE;

    private final TreeSet<Opening<W>> inOrder =
            new TreeSet<>(Comparator.<Opening<W>>comparingLong(Opening::time).thenComparingLong(Opening::turn));
    private final Map<Long, Opening<W>> byTurn = new HashMap<>();

    private record Opening<W>(long turn, long time, W waiting) {}

    public void add(long turn, long time, W waiting) {
        Opening<W> opening = new Opening<>(turn, time, waiting);
        inOrder.add(opening);
        byTurn.put(turn, opening);
    }

    /** Removes the opening of a job. If the job has none, nothing changes. */
    public void remove(long turn) {
        Opening<W> opening = byTurn.remove(turn);
        if (opening != null) {
            inOrder.remove(opening);
        }
    }

    /** Returns the first job for which a node has opened; null if there is none. */
    public @Nullable W firstOpen(long now) {
        return nextTime() <= now ? inOrder.getFirst().waiting() : null;
    }

    /** Returns the time of the first opening; {@code Long.MAX_VALUE} if there is none. */
    public long nextTime() {
        return inOrder.isEmpty() ? NEVER : inOrder.getFirst().time();
    }
}
