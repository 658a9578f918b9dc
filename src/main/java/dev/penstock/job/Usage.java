package dev.penstock.job;

/**
 * Numbers of tokens, as the node counted them.
 *
 * @param promptTokens the tokens in the whole prompt
 * @param completionTokens the tokens in the whole answer
 * @param cachedTokens the prompt tokens from the node's cache, if the node reports them
 * @param reasoningTokens the answer tokens that belong to the reasoning, if the node reports them
 */
public record Usage(long promptTokens, long completionTokens, long cachedTokens, long reasoningTokens) {
    public static final Usage NONE = new Usage(0, 0);

    /**
     * The largest possible count, because no answer has more tokens. This limit keeps sums of counts far below the
     * maximum of a long.
     */
    private static final long MOST = 1_000_000_000_000L;

    /** Treats an impossible count as unknown, which is zero. */
    public Usage {
        promptTokens = possible(promptTokens);
        completionTokens = possible(completionTokens);
        cachedTokens = possible(cachedTokens);
        reasoningTokens = possible(reasoningTokens);
    }

    private static long possible(long count) {
        return count < 0 || count > MOST ? 0 : count;
    }

    public Usage(long promptTokens, long completionTokens) {
        this(promptTokens, completionTokens, 0, 0);
    }

    public Usage(long promptTokens, long completionTokens, long cachedTokens) {
        this(promptTokens, completionTokens, cachedTokens, 0);
    }

    public long totalTokens() {
        return promptTokens + completionTokens;
    }

    /**
     * Merges this report with an earlier report of the same answer. If a count is zero, which means unknown, the
     * earlier count applies.
     */
    public Usage after(Usage earlier) {
        return new Usage(
                known(promptTokens, earlier.promptTokens),
                known(completionTokens, earlier.completionTokens),
                known(cachedTokens, earlier.cachedTokens),
                known(reasoningTokens, earlier.reasoningTokens));
    }

    private static long known(long count, long earlier) {
        return count > 0 ? count : earlier;
    }

    /** Returns the sum of the usage of two answers. */
    public Usage plus(Usage other) {
        return new Usage(
                sum(promptTokens, other.promptTokens),
                sum(completionTokens, other.completionTokens),
                sum(cachedTokens, other.cachedTokens),
                sum(reasoningTokens, other.reasoningTokens));
    }

    private static long sum(long one, long other) {
        return Math.min(MOST, one + other);
    }
}
