package dev.penstock.schedule;

import dev.penstock.job.JobFailure;
import dev.penstock.node.Node;
import dev.penstock.route.RouteKey;
import dev.penstock.route.Router;
import dev.penstock.route.balance.Demand;
import dev.penstock.route.balance.Fit;
import dev.penstock.route.balance.Option;
import dev.penstock.route.balance.Order;
import dev.penstock.settings.Placing;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.random.RandomGenerator;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Decides which node a job may use now. The decision is a pure function of the job's route, of the nodes' state at one
 * moment, and of the nodes that the job avoids. When states or models of nodes change, a new placement replaces this
 * one.
 */
final class Placement {
    /** A set without nodes. Nothing changes it. */
    private static final BitSet NONE = new BitSet();

    private final NodesView nodes;
    private final Function<RouteKey, Router.Route> routes;
    private final RandomGenerator chance;

    /**
     * @param routes finds the route for a route key
     * @param chance draws the nodes that are compared if there are many
     */
    Placement(NodesView nodes, Function<RouteKey, Router.Route> routes, RandomGenerator chance) {
        this.nodes = nodes;
        this.routes = routes;
        this.chance = chance;
    }

    /** The decision for a job. */
    sealed interface Choice {
        record Go(String node, String model) implements Choice {}

        /** The job waits until this node has fetched the model. */
        record AfterFetch(String node, String model) implements Choice {}

        /** No node can take the job now. */
        record Later() implements Choice {}

        /** No node can ever serve the job. */
        record Never(JobFailure failure) implements Choice {}
    }

    /** The answer to the question whether all nodes of a route key are down while another node is up. */
    sealed interface Outage {
        record None() implements Outage {}

        record Since(long time) implements Outage {}

        /** No node lists the model, but a node that was never up may have it. */
        record NeverUp() implements Outage {}
    }

    /**
     * The route of some waiting jobs, and the nodes that they may use.
     *
     * @param nodes the nodes that can take one of these jobs if they have room
     * @param failed those of these nodes at which the jobs failed
     */
    record Reach(Router.Route route, BitSet nodes, BitSet failed) {
        static final Reach NOWHERE_YET = new Reach(new Router.Route.To(List.of()), new BitSet(), new BitSet());

        boolean isNowhere() {
            return route instanceof Router.Route.Nowhere;
        }

        boolean needsFetch() {
            return route instanceof Router.Route.AfterFetch;
        }
    }

    NodesView nodes() {
        return nodes;
    }

    Placement with(NodesView.Load load) {
        NodesView changed = nodes.with(load);
        return changed == nodes ? this : new Placement(changed, routes, chance);
    }

    /**
     * Returns the route for a route key, and the nodes that its waiting jobs may use.
     *
     * @param closed the nodes that these jobs cannot use
     * @param failed the nodes at which these jobs failed
     */
    Reach reach(RouteKey key, Set<String> closed, Set<String> failed) {
        Router.Route route = routes.apply(key);
        BitSet open = route instanceof Router.Route.To(List<List<Router.Candidate>> pools)
                ? nodes.setOf(pools.stream()
                        .flatMap(List::stream)
                        .map(Router.Candidate::node)
                        .filter(node -> !closed.contains(node))
                        .toList())
                : new BitSet();
        BitSet failedAt = nodes.setOf(failed);
        failedAt.and(open);
        return new Reach(route, open, failedAt);
    }

    boolean hasRoom(Reach reach) {
        return nodes.hasRoom(nodes.usable(reach.nodes(), reach.failed()));
    }

    /** @param closed the nodes whose next slot is not for these jobs */
    boolean hasRoom(Reach reach, BitSet closed) {
        BitSet room = room(reach);
        room.andNot(closed);
        return !room.isEmpty();
    }

    /** Returns the nodes with room that the waiting jobs may use. */
    BitSet room(Reach reach) {
        return nodes.room(nodes.usable(reach.nodes(), reach.failed()));
    }

    /** Chooses a node as {@link #choose(Reach, Wait, BitSet, long)} does, among all nodes. */
    Choice choose(Reach reach, Wait wait, long now) {
        return choose(reach, wait, NONE, now);
    }

    /**
     * Chooses the first node of the job's order in the first pool with room. Nodes at which the job failed come last, and
     * only when they may serve the job again.
     *
     * @param closed the nodes whose next slot is not for this job
     */
    Choice choose(Reach reach, Wait wait, BitSet closed, long now) {
        return switch (reach.route()) {
            case Router.Route.Nowhere(JobFailure failure) -> new Choice.Never(failure);
            case Router.Route.AfterFetch(List<Router.Candidate> candidates) ->
                candidates.stream()
                        .filter(candidate -> isUp(candidate.node()))
                        .findFirst()
                        .<Choice>map(candidate -> new Choice.AfterFetch(candidate.node(), candidate.model()))
                        .orElseGet(Choice.Later::new);
            case Router.Route.To(List<List<Router.Candidate>> pools) -> {
                BitSet usable = nodes.usable(reach.nodes(), reach.failed());
                Router.Candidate fresh = firstWithRoom(
                        pools,
                        wait.demand(),
                        without(closed, node -> wait.isFresh(node) && nodes.isIn(reach.nodes(), node)));
                Router.Candidate best = fresh == null
                        ? firstWithRoom(
                                pools,
                                wait.demand(),
                                without(closed, node -> wait.isAgain(node, now) && nodes.isIn(usable, node)))
                        : fresh;
                yield best == null ? new Choice.Later() : new Choice.Go(best.node(), best.model());
            }
        };
    }

    /**
     * A node of a job's order.
     *
     * @param figure the figure that orders the node
     */
    record Ranked(Router.Candidate candidate, Order.Figure figure) {}

    /**
     * Returns the nodes that are up, in the order in which {@link #choose} takes them for a job that avoids none: those
     * with room first, then those that must give back a slot first.
     *
     * @param leftOut the nodes that the job leaves out
     */
    List<Ranked> inOrder(Router.Route route, Demand demand, Set<String> leftOut) {
        List<Ranked> free = new ArrayList<>();
        List<Ranked> full = new ArrayList<>();
        boolean fetches = !(route instanceof Router.Route.To);
        for (List<Router.Candidate> pool : Routes.candidates(route)) {
            List<Option> up = nodes.options(pool, demand, node -> !fetches && !leftOut.contains(node));
            List<Option> first = demand.order().inOrder(up);
            first.forEach(option -> free.add(ranked(option, up, demand)));
            up.stream()
                    .filter(option -> !first.contains(option)
                            && !leftOut.contains(option.candidate().node()))
                    // the first node that is up fetches the model
                    .sorted(Comparator.comparingDouble(option -> fetches ? 0 : share(option)))
                    .forEach(option -> full.add(ranked(option, up, demand)));
        }
        free.addAll(full);
        return List.copyOf(free);
    }

    private static double share(Option option) {
        return (double) option.inFlight() / option.limit();
    }

    private static Ranked ranked(Option option, List<Option> pool, Demand demand) {
        return new Ranked(option.candidate(), demand.order().figure(option, pool));
    }

    /** Returns at which nodes of its route a job fits; empty if it fits at all of them. */
    Optional<Fit> tightFit(Wait wait) {
        return wait.demand().surelyFits(nodes.smallestContext())
                ? Optional.empty()
                : Optional.of(fit(routes.apply(wait.key()), wait.demand(), wait.useless()))
                        .filter(Fit::isTight);
    }

    /** Returns the failure of a job that is too long for its first target, if its rule says that it fails. */
    Optional<JobFailure> tooLong(Wait wait) {
        return wait.demand().overflow() == Placing.Overflow.FAIL
                ? tightFit(wait).flatMap(Fit::failure)
                : Optional.empty();
    }

    /** @param useless the nodes that cannot serve the job */
    Fit fit(Router.Route route, Demand demand, Set<String> useless) {
        List<List<Fit.At>> pools = new ArrayList<>();
        if (route instanceof Router.Route.To(List<List<Router.Candidate>> all)) {
            for (List<Router.Candidate> pool : all) {
                pools.add(nodes.contexts(pool.stream()
                        .filter(candidate -> !useless.contains(candidate.node()))
                        .toList()));
            }
        }
        return new Fit(demand, pools);
    }

    private Router.@Nullable Candidate firstWithRoom(
            List<List<Router.Candidate>> pools, Demand demand, Predicate<String> allowed) {
        for (List<Router.Candidate> pool : pools) {
            Option best = demand.order().first(nodes.options(pool, demand, allowed), chance);
            if (best != null) {
                return best.candidate();
            }
        }
        return null;
    }

    private Predicate<String> without(BitSet closed, Predicate<String> allowed) {
        return closed.isEmpty() ? allowed : allowed.and(node -> !nodes.isIn(closed, node));
    }

    private boolean isUp(String node) {
        return nodes.find(node).filter(load -> load.state() == Node.State.UP).isPresent();
    }

    /**
     * Returns why a direct call does not wait: no node that may serve it is up. It is empty if such a node is up, or if no
     * node can ever serve the call.
     */
    Optional<JobFailure> noneUp(Wait wait) {
        Router.Route route = routes.apply(wait.key());
        List<Router.Candidate> usable = Routes.candidates(route).stream()
                .flatMap(List::stream)
                .filter(candidate -> !wait.useless().contains(candidate.node()))
                .toList();
        if (route instanceof Router.Route.Nowhere || usable.stream().anyMatch(candidate -> isUp(candidate.node()))) {
            return Optional.empty();
        }
        String states = usable.stream()
                .flatMap(candidate -> nodes.find(candidate.node()).stream())
                .map(load -> "'%s' is %s".formatted(load.name(), load.stateInWords()))
                .collect(Collectors.joining(", "));
        return Optional.of(JobFailure.of(
                JobFailure.Code.NO_NODE,
                states.isEmpty()
                        ? "no node is up that may have the model"
                        : "no node is up that may serve the request: " + states));
    }

    Outage outage(RouteKey key) {
        Router.Route route = routes.apply(key);
        if (route instanceof Router.Route.Nowhere || !nodes.anyUp()) {
            return new Outage.None();
        }
        List<NodesView.Load> loads = Routes.candidates(route).stream()
                .flatMap(List::stream)
                .map(candidate -> nodes.find(candidate.node()))
                .flatMap(Optional::stream)
                .toList();
        if (loads.isEmpty()) {
            return new Outage.NeverUp();
        }
        return loads.stream().allMatch(load -> load.state() == Node.State.DOWN)
                ? new Outage.Since(
                        loads.stream().mapToLong(NodesView.Load::since).max().orElseThrow())
                : new Outage.None();
    }

    /**
     * Returns whether a node other than these may serve jobs with a route key.
     *
     * @param up whether the other node must be up now
     */
    boolean hasOther(RouteKey key, Collection<String> these, boolean up) {
        return routes.apply(key) instanceof Router.Route.To(List<List<Router.Candidate>> pools)
                && pools.stream()
                        .flatMap(List::stream)
                        .map(Router.Candidate::node)
                        .filter(node -> !these.contains(node))
                        .anyMatch(node -> up ? isUp(node) : nodes.find(node).isPresent());
    }

    /** Returns whether a node may serve jobs with a route key, now or when it has the model. */
    boolean mayServe(RouteKey key, String node) {
        return Routes.candidates(routes.apply(key)).stream()
                .flatMap(List::stream)
                .anyMatch(candidate -> candidate.node().equals(node));
    }

    /**
     * Returns the node for a second request of a running job.
     *
     * @param wait a wait that avoids the node of the first request
     * @param isSpare tests whether a node has a slot to spare
     */
    Optional<Choice.Go> spare(Wait wait, long now, Predicate<Router.Candidate> isSpare) {
        Set<String> closed = new HashSet<>(wait.closed(now));
        tightFit(wait).ifPresent(fit -> closed.addAll(fit.leftOut().keySet()));
        Reach reach = reach(wait.key(), closed, wait.notBefore().keySet());
        if (!(reach.route() instanceof Router.Route.To(List<List<Router.Candidate>> pools))) {
            return Optional.empty();
        }
        Router.Route spare = new Router.Route.To(pools.stream()
                .map(pool -> pool.stream().filter(isSpare).toList())
                .toList());
        return choose(new Reach(spare, reach.nodes(), reach.failed()), wait, now) instanceof Choice.Go go
                ? Optional.of(go)
                : Optional.empty();
    }
}
