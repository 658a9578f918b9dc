package dev.penstock.execution;

import dev.penstock.job.TokenEvent;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * Gathers deltas into chunk events. The first chunk is due at once. Each later chunk is due after the linger time, or
 * earlier if there is enough text. Time is an argument, in nanoseconds of one clock. Not thread-safe: the thread of the
 * run owns it.
 */
final class ChunkBatch {
    private static final int MOST_MISSING = 256;

    private final long lingerNanos;
    private final int maxChars;
    private final boolean wanted;
    private List<TokenEvent> deltas = new ArrayList<>();
    private int chars;
    private boolean hasSent;
    private long oldestNanos;

    ChunkBatch(Duration linger, int maxChars) {
        this(linger, maxChars, true);
    }

    private ChunkBatch(Duration linger, int maxChars, boolean wanted) {
        lingerNanos = linger.toNanos();
        this.maxChars = maxChars;
        this.wanted = wanted;
    }

    /** Returns a batch for a job that wants no chunks. It keeps nothing, and no chunk is ever due. */
    static ChunkBatch unwanted() {
        return new ChunkBatch(Duration.ZERO, Integer.MAX_VALUE, false);
    }

    void add(TokenEvent delta, long nowNanos) {
        if (!wanted || isInNoChunk(delta)) {
            return;
        }
        int size = delta.chars();
        if (chars == 0 && size > 0) {
            oldestNanos = nowNanos;
        }
        chars += size;
        deltas.add(delta);
    }

    private static boolean isInNoChunk(TokenEvent delta) {
        return switch (delta) {
            case TokenEvent.Model _, TokenEvent.Embedding _, TokenEvent.Scored _, TokenEvent.Spent _ -> true;
            case TokenEvent.End _, TokenEvent.Broken _ -> true;
            case TokenEvent.Role _, TokenEvent.Text _, TokenEvent.ToolCall _ -> false;
            case TokenEvent.Thinking _, TokenEvent.Logprobs _, TokenEvent.Finish _ -> false;
        };
    }

    /** Returns the number of deltas that wait for their chunk. */
    int size() {
        return deltas.size();
    }

    /**
     * Returns the nanoseconds until this batch must be sent; 0 or less if it must be sent now; {@code Long.MAX_VALUE}
     * if it has no text yet.
     */
    long dueInNanos(long nowNanos) {
        if (chars == 0) {
            return Long.MAX_VALUE;
        }
        return !hasSent || chars >= maxChars ? 0 : oldestNanos + lingerNanos - nowNanos;
    }

    /** Returns whether there is enough text for a chunk. */
    boolean isFull() {
        return chars >= maxChars;
    }

    /**
     * Returns how many more characters are worth taking before the chunk is due; 0 if the next event must be taken at
     * once. It is few, so that the stream does not pause its connection meanwhile.
     */
    int missing() {
        return hasText() ? Math.clamp(maxChars - chars, 0, MOST_MISSING) : 0;
    }

    /** Returns whether the batch has text that no chunk contains yet. */
    boolean hasText() {
        return chars > 0;
    }

    /** Returns the gathered deltas and empties the batch. */
    List<TokenEvent> take() {
        List<TokenEvent> taken = deltas;
        deltas = new ArrayList<>();
        chars = 0;
        hasSent = true;
        return taken;
    }
}
