package dev.penstock.schedule;

import dev.penstock.node.Node;
import dev.penstock.node.NodeLoad;
import dev.penstock.node.protocol.WireProtocol;
import dev.penstock.route.Router;
import dev.penstock.route.balance.Demand;
import dev.penstock.route.balance.Fit;
import dev.penstock.route.balance.Option;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/** The state of the nodes at one moment, with only the facts that the scheduler needs. Immutable. */
final class NodesView {
    static final NodesView EMPTY = of(List.of());

    private final Map<String, Integer> index;
    private final Load[] loads;
    private final BitSet withRoom;
    private final BitSet up;
    private final BitSet trials;
    private final long smallestContext;

    private NodesView(Map<String, Integer> index, Load[] loads, BitSet withRoom, BitSet up, BitSet trials) {
        this.index = index;
        this.loads = loads;
        this.withRoom = withRoom;
        this.up = up;
        this.trials = trials;
        long smallest = Long.MAX_VALUE;
        for (Load load : loads) {
            for (WireProtocol.Model model : load.models()) {
                smallest = model.context() == null ? smallest : Math.min(smallest, model.context());
            }
        }
        smallestContext = smallest;
    }

    /**
     * The load of one node.
     *
     * @param state the node's state for new jobs: a paused node counts as down
     * @param since the time when the node entered its state
     * @param inFlight the number of this replica's requests at the node
     * @param limit the number of requests that this replica may have at the node now
     * @param free the number of requests that may begin at the node now
     * @param isTrial whether the next request finds out whether the node works again, because its breaker is not closed
     * @param models the node's models
     * @param work the prompts that the node has not read yet
     * @param weight the node's weight; positive
     * @param rests whether no request may begin at the node now, even if another one ends
     * @param calls how many of this replica's requests at the node are direct calls
     */
    record Load(
            String name,
            Node.State state,
            long since,
            int inFlight,
            int limit,
            int free,
            boolean isTrial,
            List<WireProtocol.Model> models,
            NodeLoad work,
            int weight,
            boolean rests,
            int calls) {
        Load {
            models = List.copyOf(models);
        }

        /** @param since the time when the node entered its state, or when it was paused if that is later */
        static Load of(Node node, long since) {
            Node.Health health = node.health();
            int inFlight = node.inFlight();
            int limit = Math.max(1, node.limitNow());
            return new Load(
                    node.name(),
                    node.pause().isPresent() ? Node.State.DOWN : health.state(),
                    since,
                    inFlight,
                    limit,
                    node.hasRoom() ? Math.max(1, limit - inFlight) : 0,
                    node.requests().areTrials(),
                    health.models(),
                    node.requests().load(),
                    node.settings().weight(),
                    node.requests().rests(),
                    node.requests().calls());
        }

        boolean hasRoom() {
            return state == Node.State.UP && free > 0;
        }

        /** Returns whether the node lacks nothing but a free slot, and one more slot is enough. */
        boolean isFull() {
            return state == Node.State.UP && free == 0 && inFlight == limit && !isTrial && !rests;
        }

        double share() {
            return (double) inFlight / limit;
        }

        /** Returns the node's state in words. A paused node counts as down. */
        String stateInWords() {
            return state == Node.State.DOWN ? "down or paused" : state.name().toLowerCase(Locale.ROOT);
        }

        private boolean isUp() {
            return state == Node.State.UP;
        }

        /** Returns the figures for the balance between the nodes of a pool. */
        private Option option(Router.Candidate candidate, Demand demand, boolean mayTake) {
            return new Option(
                    candidate,
                    mayTake && hasRoom(),
                    isTrial,
                    mustLoad(candidate.model()),
                    inFlight,
                    limit,
                    weight,
                    new Option.Reading(
                            work.tokensBefore(),
                            demand.length().prompt().tokens(work.charsPerToken()),
                            work.tokensPerSecond(),
                            work.isNearlyFull()));
        }

        private Fit.At fit(String model) {
            Long context = null;
            for (WireProtocol.Model known : models) {
                context = known.id().equals(model) ? known.context() : context;
            }
            return new Fit.At(name, isUp(), context, work.charsPerToken());
        }

        /** Returns whether the node must load a model before it can answer. */
        boolean mustLoad(String model) {
            for (WireProtocol.Model known : models) {
                if (!known.loaded() && known.id().equals(model)) {
                    return true;
                }
            }
            return false;
        }

        /** Returns the load of the same node after it refused a request. */
        Load full() {
            return new Load(name, state, since, inFlight, limit, 0, isTrial, models, work, weight, rests, calls);
        }
    }

    /**
     * Returns the nodes of a pool that are up.
     *
     * @param allowed tests whether the job may use a node
     */
    List<Option> options(List<Router.Candidate> pool, Demand demand, Predicate<String> allowed) {
        List<Option> options = new ArrayList<>(pool.size());
        for (Router.Candidate candidate : pool) {
            Load load = at(candidate.node());
            if (load != null && load.isUp()) {
                options.add(load.option(candidate, demand, allowed.test(candidate.node())));
            }
        }
        return options;
    }

    /** Returns the figures that decide whether a prompt fits at the nodes of a pool. */
    List<Fit.At> contexts(List<Router.Candidate> pool) {
        List<Fit.At> contexts = new ArrayList<>(pool.size());
        for (Router.Candidate candidate : pool) {
            Load load = at(candidate.node());
            if (load != null) {
                contexts.add(load.fit(candidate.model()));
            }
        }
        return contexts;
    }

    /** Returns the smallest context of a model at any node. */
    long smallestContext() {
        return smallestContext;
    }

    static NodesView of(List<Load> loads) {
        Map<String, Integer> index = new HashMap<>();
        BitSet withRoom = new BitSet();
        BitSet up = new BitSet();
        BitSet trials = new BitSet();
        for (int i = 0; i < loads.size(); i++) {
            Load load = loads.get(i);
            index.put(load.name(), i);
            withRoom.set(i, load.hasRoom());
            up.set(i, load.state() == Node.State.UP);
            trials.set(i, load.isTrial());
        }
        return new NodesView(Map.copyOf(index), loads.toArray(Load[]::new), withRoom, up, trials);
    }

    /** Returns the same nodes with a new load of one node. If that node is not in the view, nothing changes. */
    NodesView with(Load load) {
        Integer at = index.get(load.name());
        if (at == null || loads[at].equals(load)) {
            return this;
        }
        Load[] changed = loads.clone();
        changed[at] = load;
        return new NodesView(
                index,
                changed,
                with(withRoom, at, load.hasRoom()),
                with(up, at, load.state() == Node.State.UP),
                with(trials, at, load.isTrial()));
    }

    private static BitSet with(BitSet set, int at, boolean now) {
        if (set.get(at) == now) {
            return set;
        }
        BitSet changed = (BitSet) set.clone();
        changed.set(at, now);
        return changed;
    }

    Optional<Load> find(String node) {
        return Optional.ofNullable(at(node));
    }

    private @Nullable Load at(String node) {
        Integer at = index.get(node);
        return at == null ? null : loads[at];
    }

    /** Returns these nodes as a set for {@link #hasRoom}, without the names that are not in the view. */
    BitSet setOf(Collection<String> nodes) {
        BitSet set = new BitSet();
        for (String node : nodes) {
            Integer at = index.get(node);
            if (at != null) {
                set.set(at);
            }
        }
        return set;
    }

    /**
     * Returns the nodes that a job may use. A job does not try a node at which it failed and whose breaker is not closed
     * if another node may serve it: otherwise such jobs, which are the oldest, would use up all of their attempts there.
     *
     * @param nodes the nodes that may serve the job
     * @param failed those at which it failed
     */
    BitSet usable(BitSet nodes, BitSet failed) {
        if (!trials.intersects(failed)) {
            return nodes;
        }
        BitSet tried = (BitSet) failed.clone();
        tried.and(trials);
        BitSet others = (BitSet) nodes.clone();
        others.andNot(tried);
        return others.intersects(up) ? others : nodes;
    }

    /** Returns those of these nodes that have room as soon as one request ends. */
    Set<String> full(BitSet nodes) {
        Set<String> full = new HashSet<>();
        nodes.stream().mapToObj(i -> loads[i]).filter(Load::isFull).forEach(load -> full.add(load.name()));
        return full;
    }

    /** Returns whether a node is in a set. */
    boolean isIn(BitSet nodes, String node) {
        Integer at = index.get(node);
        return at != null && nodes.get(at);
    }

    /** Returns whether any of these nodes has room. */
    boolean hasRoom(BitSet nodes) {
        return withRoom.intersects(nodes);
    }

    /** Returns those of these nodes that have room. */
    BitSet room(BitSet nodes) {
        BitSet room = (BitSet) nodes.clone();
        room.and(withRoom);
        return room;
    }

    /** Returns those of these nodes whose load passes a test. */
    BitSet where(BitSet nodes, Predicate<Load> test) {
        BitSet found = new BitSet();
        nodes.stream().filter(i -> test.test(loads[i])).forEach(found::set);
        return found;
    }

    /** Returns whether any node has room. */
    boolean hasRoom() {
        return !withRoom.isEmpty();
    }

    boolean anyUp() {
        return !up.isEmpty();
    }
}
