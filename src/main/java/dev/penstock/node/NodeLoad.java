package dev.penstock.node;

import dev.penstock.job.PromptSize;

/**
 * The work of a node: the prompts of this replica that wait for the first token of their answers, and what the server
 * reports of other clients.
 *
 * @param waitingTokens an estimate of the tokens of this replica's waiting prompts
 * @param tokensPerSecond the prompt tokens that the node reads in a second; NaN if it is not known yet
 * @param charsPerToken the characters of a token at this node
 * @param othersTokens an estimate of the prompt tokens that other clients' requests put before a new prompt; 0 if the
 *     server reports none, or its figures are too old
 * @param isNearlyFull whether the server's cache for prompts is nearly full, so that the node comes last
 */
public record NodeLoad(
        double waitingTokens, double tokensPerSecond, double charsPerToken, double othersTokens, boolean isNearlyFull) {
    /** The work of an idle node about which nothing is known. */
    public static final NodeLoad UNKNOWN = new NodeLoad(0, Double.NaN, PromptSize.USUAL_CHARS_PER_TOKEN);

    /** Creates the work of a node without other clients. */
    public NodeLoad(double waitingTokens, double tokensPerSecond, double charsPerToken) {
        this(waitingTokens, tokensPerSecond, charsPerToken, 0, false);
    }

    /** Returns the tokens of the prompts before a new prompt. */
    public double tokensBefore() {
        return waitingTokens + othersTokens;
    }

    /** Returns the time until the node has read the waiting prompts, in seconds; NaN if its rate is not known yet. */
    public double seconds() {
        double tokens = tokensBefore();
        return tokens == 0 ? 0 : tokens / tokensPerSecond;
    }

    /** Returns the part of {@link #seconds} that is due to other clients. */
    public double othersSeconds() {
        return othersTokens == 0 ? 0 : othersTokens / tokensPerSecond;
    }
}
