package dev.penstock.route.balance;

import java.util.List;
import java.util.Locale;
import java.util.function.Predicate;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/**
 * Prompts that begin with the same text go to the same node, because the node may have the beginning in its cache. A node
 * with much more work than the others is left for the next one.
 *
 * @param key the hash of the beginning ({@link PrefixKey})
 * @param bound a node is left if its load in seconds is over this factor of the mean
 */
public record PrefixAffinity(long key, double bound) implements Order {
    /** No node is left for a smaller load than this, in seconds. */
    static final double LEAST_SECONDS = 2;

    @Override
    public @Nullable Option first(List<Option> pool, RandomGenerator chance) {
        return Rendezvous.first(key, pool, isLeft(pool));
    }

    @Override
    public List<Option> inOrder(List<Option> pool) {
        return Rendezvous.inOrder(key, pool, isLeft(pool));
    }

    /** Returns a test for the nodes that have too much work. If no rate is known, there is none. */
    private Predicate<Option> isLeft(List<Option> pool) {
        double usual = Option.usualRate(pool);
        double limit = Math.max(LEAST_SECONDS, bound * mean(pool, usual));
        return option -> option.reading().secondsBefore(usual) > limit;
    }

    private static double mean(List<Option> pool, double usual) {
        double sum = 0;
        for (Option option : pool) {
            sum += option.reading().secondsBefore(usual);
        }
        return sum / pool.size();
    }

    @Override
    public Figure figure(Option option, List<Option> pool) {
        int place = Rendezvous.place(key, option, pool);
        double usual = Option.usualRate(pool);
        return new Figure(
                place,
                isLeft(pool).test(option)
                        ? String.format(
                                Locale.ROOT,
                                "place %d in the order of the prompt's beginning; left for its load of %.1f s, over %.2f times the mean of %.1f s",
                                place,
                                option.reading().secondsBefore(usual),
                                bound,
                                mean(pool, usual))
                        : "place %d in the order of the prompt's beginning".formatted(place));
    }
}
