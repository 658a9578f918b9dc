package dev.penstock.node;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** The recent throughput of a node, over its last 128 answers. Thread-safe. */
public final class NodeThroughput {
    private static final int KEPT = 128;

    /* Guarded by this. */
    private final long[] firstTokenMillis = new long[KEPT];
    private final double[] tokensPerSecond = new double[KEPT];
    private final long[] answerTokens = new long[KEPT];
    private long firstTokens;
    private long answers;
    private long swaps;

    NodeThroughput() {
        this(0);
    }

    /** @param before the number of answers before the first one that this object sees */
    NodeThroughput(long before) {
        firstTokens = before;
        answers = before;
    }

    synchronized void firstToken(long millis) {
        firstTokenMillis[(int) (firstTokens++ % KEPT)] = millis;
    }

    /** @param seconds the time from the first token to the last */
    synchronized void answer(long tokens, double seconds) {
        if (tokens > 1 && seconds > 0) {
            answerTokens[(int) (answers % KEPT)] = tokens;
            tokensPerSecond[(int) (answers++ % KEPT)] = (tokens - 1) / seconds;
        }
    }

    /** Notes that a job goes to the node for which it must load a model in place of another one. */
    public synchronized void swapped() {
        swaps++;
    }

    synchronized long swaps() {
        return swaps;
    }

    /** @return the time to the first token in milliseconds, at this quantile; null before the first answer */
    public synchronized @Nullable Long firstTokenMillis(double quantile) {
        int known = (int) Math.min(firstTokens, KEPT);
        if (known == 0) {
            return null;
        }
        long[] sorted = Arrays.copyOf(firstTokenMillis, known);
        Arrays.sort(sorted);
        return sorted[(int) Math.min(known - 1, Math.floor(quantile * known))];
    }

    /**
     * @param least the least number of answers that the quantile needs
     * @return the time to the first token in milliseconds, at this quantile; null before so many answers
     */
    public synchronized @Nullable Long firstTokenMillis(double quantile, int least) {
        return firstTokens < least ? null : firstTokenMillis(quantile);
    }

    /** Returns the mean number of an answer's tokens; null before the first answer. */
    public synchronized @Nullable Long meanTokens() {
        int known = (int) Math.min(answers, KEPT);
        return known == 0
                ? null
                : Math.round(Arrays.stream(answerTokens, 0, known).average().orElse(0));
    }

    /** Returns the mean of the answers' rates; null before the first answer. */
    public synchronized @Nullable Double tokensPerSecond() {
        int known = (int) Math.min(answers, KEPT);
        return known == 0
                ? null
                : Arrays.stream(tokensPerSecond, 0, known).average().orElse(0);
    }
}
