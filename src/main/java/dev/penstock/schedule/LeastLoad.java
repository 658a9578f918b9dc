package dev.penstock.schedule;

import dev.penstock.route.Router;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/**
 * The order of the nodes of a pool: the node that gives the first token soonest comes first. Among nodes that are about
 * equally fast, and if no node's rate is known, the node with the least share of its slots in use comes first. A node
 * that has the job's model in memory comes before one that must load it. A node whose breaker lets one job through
 * comes before all, because that job finds out whether the node works again.
 */
final class LeastLoad {
    /**
     * The most nodes that are compared. If there are more, the better of two random nodes is taken. So several replicas
     * do not take the same node at once.
     */
    private static final int MOST_COMPARED = 8;
    /** A node is about as fast as the fastest if its time is at most this factor longer. */
    private static final double ABOUT_AS_FAST = 1.25;
    /** A node is also about as fast if its time is at most this much longer, in seconds. */
    private static final double ABOUT_AT_ONCE = 0.05;

    private LeastLoad() {}

    /** A node with room, and its load. */
    private record Option(Router.Candidate candidate, NodesView.Load load) {}

    /** A condition for a node. */
    @FunctionalInterface
    interface Allowed {
        boolean test(String node);
    }

    /**
     * Returns the first node of the order.
     *
     * @param promptChars the characters of the job's prompt
     * @param chance draws the nodes that are compared if there are many
     * @return null if no allowed node has room
     */
    static Router.@Nullable Candidate best(
            List<Router.Candidate> pool, NodesView nodes, Allowed allowed, long promptChars, RandomGenerator chance) {
        return best(
                pool,
                nodes,
                allowed,
                promptChars,
                options -> options.size() > MOST_COMPARED ? two(options, chance) : options);
    }

    /** Returns the nodes of a pool with room, in the order in which a job that avoids none would take them. */
    static List<Router.Candidate> inOrder(List<Router.Candidate> pool, NodesView nodes, long promptChars) {
        List<Router.Candidate> left = new ArrayList<>(pool);
        List<Router.Candidate> inOrder = new ArrayList<>();
        Router.Candidate next;
        while ((next = best(left, nodes, _ -> true, promptChars, UnaryOperator.identity())) != null) {
            inOrder.add(next);
            left.remove(next);
        }
        return inOrder;
    }

    /** @param compared selects the nodes that are compared */
    private static Router.@Nullable Candidate best(
            List<Router.Candidate> pool,
            NodesView nodes,
            Allowed allowed,
            long promptChars,
            UnaryOperator<List<Option>> compared) {
        List<Option> options = new ArrayList<>();
        boolean anyLoaded = false;
        for (Router.Candidate candidate : pool) {
            NodesView.Load load = nodes.find(candidate.node()).orElse(null);
            if (load == null || !load.hasRoom() || !allowed.test(candidate.node())) {
                continue;
            }
            if (load.isTrial()) {
                return candidate;
            }
            boolean mustLoad = load.mustLoad(candidate.model());
            if (!mustLoad && !anyLoaded) {
                anyLoaded = true;
                options.clear();
            }
            if (!mustLoad || !anyLoaded) {
                options.add(new Option(candidate, load));
            }
        }
        if (options.isEmpty()) {
            return null;
        }
        return soonest(compared.apply(options), promptChars).candidate();
    }

    private static List<Option> two(List<Option> options, RandomGenerator chance) {
        int first = chance.nextInt(options.size());
        int second = chance.nextInt(options.size() - 1);
        return List.of(options.get(first), options.get(second < first ? second : second + 1));
    }

    private static Option soonest(List<Option> options, long promptChars) {
        double usual = usualRate(options);
        double limit = Double.POSITIVE_INFINITY;
        if (!Double.isNaN(usual)) {
            double least = Double.POSITIVE_INFINITY;
            for (Option option : options) {
                least = Math.min(least, option.load().work().secondsToFirstToken(promptChars, usual));
            }
            limit = Math.max(least * ABOUT_AS_FAST, least + ABOUT_AT_ONCE);
        }
        Option best = null;
        for (Option option : options) {
            boolean isFast =
                    Double.isNaN(usual) || option.load().work().secondsToFirstToken(promptChars, usual) <= limit;
            if (isFast && (best == null || option.load().share() < best.load().share())) {
                best = option;
            }
        }
        return best == null ? options.getFirst() : best;
    }

    /** Returns the mean of the known rates. An unknown node is assumed to have it. NaN if no rate is known. */
    private static double usualRate(List<Option> options) {
        double sum = 0;
        int known = 0;
        for (Option option : options) {
            if (option.load().work().isMeasured()) {
                sum += option.load().work().tokensPerSecond();
                known++;
            }
        }
        return known == 0 ? Double.NaN : sum / known;
    }
}
