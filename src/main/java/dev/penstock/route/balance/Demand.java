package dev.penstock.route.balance;

import dev.penstock.job.PromptJob;
import dev.penstock.job.PromptSize;
import dev.penstock.route.StableHash;
import dev.penstock.settings.Placing;
import dev.penstock.settings.Rule;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What one job asks of its node, besides the properties in its route key. It is computed once for each run.
 *
 * @param order the order in which the job takes the nodes of a pool
 * @param overflow what happens if the job is too long for a node
 * @param grouping how the job gives way to others
 */
public record Demand(Length length, Order order, Placing.Overflow overflow, Grouping grouping) {
    /**
     * How a job gives way to others that need the same model or begin with the same text.
     *
     * @param prefix the hash of the prompt's beginning; null unless the group is {@link Placing.Group#PREFIX}
     * @param maxWaitNanos how long the job gives way
     */
    public record Grouping(Placing.Group group, @Nullable Long prefix, long maxWaitNanos) {
        static final Grouping USUAL = new Grouping(
                Placing.USUAL.group(), null, Placing.USUAL.groupMaxWait().toNanos());
    }

    /** @param defaults the values of the service for fields that neither the job nor its rule sets */
    public static Demand of(PromptJob job, Rule rule, Map<String, Object> defaults) {
        Placing placing = rule.placing();
        boolean asksPrefix = placing.balance()
                        .filter(Placing.Balance.PREFIX_AFFINITY::equals)
                        .isPresent()
                || placing.group() == Placing.Group.PREFIX;
        String model = rule.set().model() == null ? job.model() : rule.set().model();
        long prefix = asksPrefix ? PrefixKey.of(job, model) : 0;
        return new Demand(
                Length.of(job, rule, defaults),
                order(job, placing, prefix),
                placing.overflow(),
                new Grouping(
                        placing.group(),
                        placing.group() == Placing.Group.PREFIX ? prefix : null,
                        placing.groupMaxWait().toNanos()));
    }

    /** Returns what a job without a rule asks. */
    public static Demand ofChars(long promptChars) {
        return new Demand(
                new Length(new PromptSize(promptChars, 0), 0, true),
                new LeastLoad(),
                Placing.USUAL.overflow(),
                Grouping.USUAL);
    }

    private static Order order(PromptJob job, Placing placing, long prefix) {
        String session = job.session();
        Placing.Balance usual = session == null ? Placing.Balance.LEAST_LOAD : Placing.Balance.SESSION;
        return switch (placing.balance().orElse(usual)) {
            case LEAST_LOAD -> new LeastLoad();
            case WEIGHTED -> new Weighted();
            case PREFIX_AFFINITY -> new PrefixAffinity(prefix, placing.bound());
            case SESSION -> session == null ? new LeastLoad() : new SessionAffinity(StableHash.of(session));
        };
    }

    /** Returns the characters of the prompt. */
    public long promptChars() {
        return length.prompt().chars();
    }

    /** Returns whether prompt and answer fit into every context of at least this many tokens, whatever a token's length. */
    public boolean surelyFits(long context) {
        return length.surelyFits(context);
    }
}
