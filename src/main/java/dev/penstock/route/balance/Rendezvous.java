package dev.penstock.route.balance;

import dev.penstock.route.StableHash;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Rendezvous hashing: each key has an order of all nodes, from a hash of the key and the node's name. So every replica
 * has the same order without any shared state. If a node leaves, only its own keys move, and they return with it.
 */
final class Rendezvous {
    private Rendezvous() {}

    private static long score(long key, Option option) {
        return StableHash.of(key, StableHash.of(option.node()));
    }

    /**
     * Returns the first node at which the job may start. Nodes that the job leaves come last.
     *
     * @param isLeft tests whether the job leaves a node for the next one
     */
    static @Nullable Option first(long key, List<Option> pool, Predicate<Option> isLeft) {
        Option best = null;
        long bestScore = 0;
        boolean bestIsLeft = false;
        for (Option option : pool) {
            if (option.mayTake()) {
                long score = score(key, option);
                boolean left = isLeft.test(option);
                if (best == null || (left == bestIsLeft ? Long.compareUnsigned(score, bestScore) > 0 : bestIsLeft)) {
                    best = option;
                    bestScore = score;
                    bestIsLeft = left;
                }
            }
        }
        return best;
    }

    /** Returns the nodes at which the job may start, in the order in which {@link #first} takes them. */
    static List<Option> inOrder(long key, List<Option> pool, Predicate<Option> isLeft) {
        List<Option> open = new ArrayList<>(pool);
        open.removeIf(option -> !option.mayTake());
        open.sort(Comparator.comparing(isLeft::test)
                .thenComparing((one, other) -> Long.compareUnsigned(score(key, other), score(key, one))));
        return open;
    }

    /** Returns the place of a node in the order of the key, from 1 on. */
    static int place(long key, Option option, List<Option> pool) {
        long score = score(key, option);
        int place = 1;
        for (Option other : pool) {
            place += Long.compareUnsigned(score(key, other), score) > 0 ? 1 : 0;
        }
        return place;
    }
}
