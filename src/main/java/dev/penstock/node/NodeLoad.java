package dev.penstock.node;

/**
 * The work of a node from this replica: the prompts that wait for the first token of their answers.
 *
 * @param waitingTokens an estimate of the tokens of these prompts
 * @param tokensPerSecond the prompt tokens that the node reads in a second; NaN if it is not known yet
 * @param charsPerToken the characters of a token at this node
 */
public record NodeLoad(double waitingTokens, double tokensPerSecond, double charsPerToken) {
    /** The work of an idle node about which nothing is known. */
    public static final NodeLoad UNKNOWN = new NodeLoad(0, Double.NaN, LearntRates.USUAL_CHARS_PER_TOKEN);

    public boolean isMeasured() {
        return !Double.isNaN(tokensPerSecond);
    }

    /** Returns the time until the node has read the waiting prompts, in seconds; NaN if its rate is not known yet. */
    public double seconds() {
        return waitingTokens == 0 ? 0 : waitingTokens / tokensPerSecond;
    }

    /**
     * Returns the time to the first token of one more prompt, in seconds.
     *
     * @param usualRate the rate if the node's own is not known yet
     */
    public double secondsToFirstToken(long promptChars, double usualRate) {
        return (waitingTokens + promptChars / charsPerToken) / (isMeasured() ? tokensPerSecond : usualRate);
    }
}
