package dev.penstock.node;

import dev.penstock.job.PromptSize;

/**
 * The work of a node from this replica: the prompts that wait for the first token of their answers.
 *
 * @param waitingTokens an estimate of the tokens of these prompts
 * @param tokensPerSecond the prompt tokens that the node reads in a second; NaN if it is not known yet
 * @param charsPerToken the characters of a token at this node
 */
public record NodeLoad(double waitingTokens, double tokensPerSecond, double charsPerToken) {
    /** The work of an idle node about which nothing is known. */
    public static final NodeLoad UNKNOWN = new NodeLoad(0, Double.NaN, PromptSize.USUAL_CHARS_PER_TOKEN);

    /** Returns the time until the node has read the waiting prompts, in seconds; NaN if its rate is not known yet. */
    public double seconds() {
        return waitingTokens == 0 ? 0 : waitingTokens / tokensPerSecond;
    }
}
