package dev.penstock.tenant;

import dev.penstock.job.PromptSize;

/** Estimates the tokens of a job before it runs, from the answers so far. Not thread-safe. */
public final class TokenEstimate {
    /** The tokens of an answer before the first one is known. */
    static final double USUAL_ANSWER = 200;

    /** The share of the earlier answers in the estimate. So half of it comes from the last 7 answers. */
    private static final double KEPT = 0.9;

    private double answers;
    private double weight;

    /** Notes the tokens of an answer. */
    public void answered(long tokens) {
        answers = answers * KEPT + tokens;
        weight = weight * KEPT + 1;
    }

    /** Returns whether no answer is known. */
    public boolean isUnknown() {
        return weight == 0;
    }

    /** Returns the tokens of the next answer. */
    public long answer() {
        return Math.round(isUnknown() ? USUAL_ANSWER : answers / weight);
    }

    /** Returns the tokens of a prompt with so many characters. */
    public static long prompt(long chars) {
        return Math.round(chars / PromptSize.USUAL_CHARS_PER_TOKEN);
    }
}
