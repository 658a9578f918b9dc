package dev.penstock.route.balance;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/**
 * The node with the fewest requests in flight for its weight comes first. Among equal nodes, the weight is the chance to
 * come first. So the jobs divide by weight both when few jobs run and when many do, and replicas share no state.
 */
public record Weighted() implements Order {
    @Override
    public @Nullable Option first(List<Option> pool, RandomGenerator chance) {
        List<Option> equal = equal(Option.preferred(pool));
        if (equal.size() < 2) {
            return equal.isEmpty() ? null : equal.getFirst();
        }
        double point =
                chance.nextDouble() * equal.stream().mapToLong(Option::weight).sum();
        for (Option option : equal) {
            point -= option.weight();
            if (point < 0) {
                return option;
            }
        }
        return equal.getLast();
    }

    @Override
    public List<Option> inOrder(List<Option> pool) {
        List<Option> left = new ArrayList<>(pool);
        List<Option> inOrder = new ArrayList<>();
        for (List<Option> some = Option.preferred(left); !some.isEmpty(); some = Option.preferred(left)) {
            Option next = equal(some).stream()
                    .max(Comparator.comparingInt(Option::weight))
                    .orElseThrow();
            inOrder.add(next);
            left.remove(next);
        }
        return inOrder;
    }

    /** Returns the nodes with the fewest requests in flight for their weight. */
    private static List<Option> equal(List<Option> options) {
        List<Option> equal = new ArrayList<>();
        for (Option option : options) {
            int compared = equal.isEmpty() ? 0 : compare(option, equal.getFirst());
            if (compared < 0) {
                equal.clear();
            }
            if (compared <= 0) {
                equal.add(option);
            }
        }
        return equal;
    }

    private static int compare(Option one, Option other) {
        return Long.compare((long) one.inFlight() * other.weight(), (long) other.inFlight() * one.weight());
    }

    @Override
    public Figure figure(Option option, List<Option> pool) {
        double score = option.inFlightPerWeight();
        return new Figure(
                score,
                String.format(
                        Locale.ROOT, "%d in flight for weight %d: %.2f", option.inFlight(), option.weight(), score));
    }
}
