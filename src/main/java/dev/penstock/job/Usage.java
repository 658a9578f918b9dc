package dev.penstock.job;

/**
 * Tokens as the node counted them.
 *
 * @param promptTokens of the whole prompt
 * @param completionTokens of the whole answer
 * @param cachedTokens those of the prompt that came out of the node's cache, where it says so
 * @param reasoningTokens those of the answer that are reasoning, where it says so
 */
public record Usage(long promptTokens, long completionTokens, long cachedTokens, long reasoningTokens) {
    public static final Usage NONE = new Usage(0, 0);

    /** No answer has more; sums of such counts stay far from the end of a long. */
    private static final long MOST = 1_000_000_000_000L;

    /** A count that no answer can have says nothing, as zero does. */
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

    /** This report after an earlier one of the same answer: a count of zero says nothing. */
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

    /** The sum of the reports of two answers. */
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
