package dev.penstock.route.balance;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/**
 * The node that gives the first token soonest comes first. Among nodes that are about equally fast, and if no node's rate
 * is known, the node with the least share of its slots in use comes first.
 */
public record LeastLoad() implements Order {
    /**
     * The most nodes that are compared. If there are more, the better of two random nodes is taken. So several replicas
     * do not take the same node at once.
     */
    private static final int MOST_COMPARED = 8;
    /** A node is about as fast as the fastest if its time is at most this factor longer. */
    private static final double ABOUT_AS_FAST = 1.25;
    /** A node is also about as fast if its time is at most this much longer, in seconds. */
    private static final double ABOUT_AT_ONCE = 0.05;

    @Override
    public @Nullable Option first(List<Option> pool, RandomGenerator chance) {
        List<Option> preferred = Option.preferred(pool);
        if (preferred.isEmpty()) {
            return null;
        }
        return soonest(preferred.size() > MOST_COMPARED ? two(preferred, chance) : preferred);
    }

    @Override
    public List<Option> inOrder(List<Option> pool) {
        List<Option> left = new ArrayList<>(pool);
        List<Option> inOrder = new ArrayList<>();
        for (List<Option> some = Option.preferred(left); !some.isEmpty(); some = Option.preferred(left)) {
            Option next = soonest(some);
            inOrder.add(next);
            left.remove(next);
        }
        return inOrder;
    }

    @Override
    public Figure figure(Option option, List<Option> pool) {
        double usual = Option.usualRate(pool);
        if (Double.isNaN(usual)) {
            return new Figure(option.share(), "no rate is known yet, so the share of the slots in use decides");
        }
        double seconds = option.reading().secondsToFirstToken(usual);
        return new Figure(
                seconds,
                String.format(
                        Locale.ROOT,
                        "%.2f s to the first token, of which %.2f s for the prompts before it",
                        seconds,
                        option.reading().secondsBefore(usual)));
    }

    private static List<Option> two(List<Option> options, RandomGenerator chance) {
        int first = chance.nextInt(options.size());
        int second = chance.nextInt(options.size() - 1);
        return List.of(options.get(first), options.get(second < first ? second : second + 1));
    }

    private static Option soonest(List<Option> options) {
        double usual = Option.usualRate(options);
        double limit = Double.POSITIVE_INFINITY;
        if (!Double.isNaN(usual)) {
            double least = Double.POSITIVE_INFINITY;
            for (Option option : options) {
                least = Math.min(least, option.reading().secondsToFirstToken(usual));
            }
            limit = Math.max(least * ABOUT_AS_FAST, least + ABOUT_AT_ONCE);
        }
        Option best = null;
        for (Option option : options) {
            boolean isFast = Double.isNaN(usual) || option.reading().secondsToFirstToken(usual) <= limit;
            if (isFast && (best == null || option.share() < best.share())) {
                best = option;
            }
        }
        return best == null ? options.getFirst() : best;
    }
}
