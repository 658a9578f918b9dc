package dev.penstock.route.balance;

import java.util.List;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/** The order in which one job takes the nodes of a pool. It is a pure function of the nodes' figures. */
public sealed interface Order permits LeastLoad, PrefixAffinity, SessionAffinity, Weighted {
    /**
     * Returns the node that the job takes; null if it may start at none.
     *
     * @param pool the nodes of the pool that are up
     * @param chance draws between nodes, so that several replicas do not take the same node at once
     */
    @Nullable
    Option first(List<Option> pool, RandomGenerator chance);

    /** Returns the nodes at which the job may start, in the order in which it takes them. */
    List<Option> inOrder(List<Option> pool);

    /** Returns the figure by which a node has its place in the order. */
    Figure figure(Option option, List<Option> pool);

    /**
     * The figure of a node.
     *
     * @param score a lower score is better, unless the reason tells why the node comes later
     * @param why the figure in words
     */
    record Figure(double score, String why) {}
}
