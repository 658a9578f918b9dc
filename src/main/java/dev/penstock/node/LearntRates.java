package dev.penstock.node;

import dev.penstock.job.PromptSize;
import dev.penstock.node.signals.OtherWork;

/**
 * The work of one node, and its rates, both learnt from this replica's own requests. A prompt waits from the start of
 * its request until the first token of its answer. Times are arguments, in milliseconds of one clock. Not thread-safe:
 * its node guards it.
 */
final class LearntRates {
    /** The share of the earlier requests in a rate. So half of a rate comes from the last 14 requests. */
    private static final double KEPT = 0.95;
    /** The shortest prompt that teaches how many characters a token has. A chat template dominates shorter ones. */
    private static final long SHORTEST_TELLING_CHARS = 200;

    private int waiting;
    private double waitingTokens;
    private long busySinceMillis;

    /* Sums over all requests; the weight of each request shrinks with every later one. */
    private double promptTokens;
    private double promptMillis;
    private double prompts;
    private double answerTokens;
    private double answers;
    private double answerSeconds;
    private double chars;
    private double charsTokens;

    /** Returns an estimate of a prompt's tokens. */
    double tokens(long promptChars) {
        return promptChars / charsPerToken();
    }

    double charsPerToken() {
        return charsTokens > 0 ? chars / charsTokens : PromptSize.USUAL_CHARS_PER_TOKEN;
    }

    /** A request has begun. */
    void begun(double tokens, long nowMillis) {
        if (waiting++ == 0) {
            busySinceMillis = nowMillis;
        }
        waitingTokens += tokens;
    }

    /** The first token of a request's answer has arrived. */
    void spoke(double tokens, long nowMillis) {
        // the node has worked on the waiting prompts since the last first token
        promptTokens = promptTokens * KEPT + tokens;
        prompts = prompts * KEPT + 1;
        promptMillis = promptMillis * KEPT + Math.max(0, nowMillis - busySinceMillis);
        gone(tokens, nowMillis);
    }

    /** A request has ended without a token. */
    void gone(double tokens, long nowMillis) {
        waiting--;
        waitingTokens = waiting == 0 ? 0 : Math.max(0, waitingTokens - tokens);
        busySinceMillis = nowMillis;
    }

    /** @param seconds the time from the first token to the last token */
    void answered(long tokens, double seconds) {
        if (tokens > 1 && seconds > 0) {
            answerTokens = answerTokens * KEPT + (tokens - 1);
            answers = answers * KEPT + 1;
            answerSeconds = answerSeconds * KEPT + seconds;
        }
    }

    /** The node has counted the tokens of a prompt. */
    void counted(long promptChars, long tokens) {
        if (tokens > 0 && promptChars >= SHORTEST_TELLING_CHARS) {
            chars = chars * KEPT + promptChars;
            charsTokens = charsTokens * KEPT + tokens;
        }
    }

    /** Returns the prompt tokens that the node reads in a second; NaN before the first answer. */
    double prefillTokensPerSecond() {
        return promptMillis > 0 && promptTokens > 0 ? promptTokens / promptMillis * 1_000 : Double.NaN;
    }

    /** Returns the tokens of one answer in a second; NaN before the first answer. */
    double decodeTokensPerSecond() {
        return answerSeconds > 0 ? answerTokens / answerSeconds : Double.NaN;
    }

    /** Returns the mean tokens of an answer; NaN before the first answer. */
    double meanAnswerTokens() {
        return answers > 0 ? 1 + answerTokens / answers : Double.NaN;
    }

    /**
     * Returns the node's present work.
     *
     * @param others the work of other clients. It counts in prompts of the mean size of this replica's prompts; without
     *     any, nothing is known of their size
     */
    NodeLoad load(OtherWork others) {
        double meanPromptTokens = prompts > 0 ? promptTokens / prompts : 0;
        return new NodeLoad(
                waitingTokens,
                prefillTokensPerSecond(),
                charsPerToken(),
                others.tokens(meanPromptTokens),
                others.isNearlyFull());
    }
}
