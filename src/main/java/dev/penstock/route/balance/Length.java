package dev.penstock.route.balance;

import dev.penstock.job.PromptJob;
import dev.penstock.job.PromptSize;
import dev.penstock.settings.Rule;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The length of a job's prompt and answer.
 *
 * @param prompt the size of the prompt
 * @param answer the largest number of tokens of the answer; 0 if it is not limited
 * @param isOneText whether the prompt is one text, which must fit into a context as a whole; the texts of embeddings, the
 *     documents of a ranking, the texts of scores, and several prompts in one job need not
 */
public record Length(PromptSize prompt, long answer, boolean isOneText) {
    /** A text may have fewer tokens than estimated, by up to this factor. */
    private static final double UNCERTAINTY = 2;

    /** More tokens than any context has. */
    private static final double MOST_TOKENS = Integer.MAX_VALUE;

    private static final List<String> LIMITS = List.of("max_completion_tokens", "max_tokens");

    /** @param defaults the values of the service for fields that neither the job nor its rule sets */
    static Length of(PromptJob job, Rule rule, Map<String, Object> defaults) {
        boolean isOneText = switch (job.task()) {
            case CHAT, DESCRIBE, TAG -> true;
            case COMPLETION -> job.body().get("prompt") instanceof String;
            case EMBEDDINGS, RERANK, SCORE -> false;
        };
        return new Length(job.promptSize(), answer(job, rule, defaults), isOneText);
    }

    /** Returns the largest number of tokens of a job's answer; 0 if it is not limited. */
    public static long answer(PromptJob job, Rule rule, Map<String, Object> defaults) {
        for (Map<String, Object> from : List.of(job.body(), rule.set().parameters(), defaults)) {
            for (String limit : LIMITS) {
                if (from.get(limit) instanceof Number number && number.doubleValue() >= 1) {
                    return (long) Math.min(number.doubleValue(), MOST_TOKENS);
                }
            }
        }
        return 0;
    }

    /** Returns whether the length can exceed no context of at least this many tokens, whatever a token's length. */
    boolean surelyFits(long context) {
        return !isOneText || prompt.tokens(1) + answer <= context;
    }

    /**
     * Returns whether prompt and answer fit, by the estimate.
     *
     * @param context the tokens of the longest prompt and answer together; null if it is not known
     */
    boolean fits(@Nullable Long context, double charsPerToken) {
        return context == null || !isOneText || tokens(charsPerToken) <= context;
    }

    /** Returns whether prompt and answer fit if the estimate is too high. */
    boolean mayFit(@Nullable Long context, double charsPerToken) {
        return fits(context, charsPerToken * UNCERTAINTY);
    }

    private long tokens(double charsPerToken) {
        return prompt.tokens(charsPerToken) + answer;
    }

    /** Returns the length in words. */
    String at(double charsPerToken) {
        String tokens = "the prompt has about %,d tokens".formatted(prompt.tokens(charsPerToken));
        return answer == 0 ? tokens : "%s and its answer up to %,d".formatted(tokens, answer);
    }
}
