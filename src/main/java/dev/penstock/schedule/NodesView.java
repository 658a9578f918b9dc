package dev.penstock.schedule;

import dev.penstock.node.Node;
import java.util.BitSet;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** The state of the nodes at one moment, with only the facts that the scheduler needs. Immutable. */
final class NodesView {
    static final NodesView EMPTY = of(List.of());

    private final Map<String, Integer> index;
    private final Load[] loads;
    private final BitSet withRoom;
    private final boolean anyUp;

    private NodesView(Map<String, Integer> index, Load[] loads, BitSet withRoom, boolean anyUp) {
        this.index = index;
        this.loads = loads;
        this.withRoom = withRoom;
        this.anyUp = anyUp;
    }

    /**
     * The load of one node.
     *
     * @param since the time when the node entered its state
     * @param inFlight the number of this replica's requests at the node
     * @param limit the number of requests that this replica may have at the node now
     * @param free the number of requests that may begin at the node now
     */
    record Load(String name, Node.State state, long since, int inFlight, int limit, int free) {
        boolean hasRoom() {
            return state == Node.State.UP && free > 0;
        }

        double share() {
            return (double) inFlight / limit;
        }

        /** Returns the load of the same node after it refused a request. */
        Load full() {
            return new Load(name, state, since, inFlight, limit, 0);
        }
    }

    static NodesView of(List<Load> loads) {
        Map<String, Integer> index = new HashMap<>();
        BitSet withRoom = new BitSet();
        for (int i = 0; i < loads.size(); i++) {
            index.put(loads.get(i).name(), i);
            withRoom.set(i, loads.get(i).hasRoom());
        }
        return new NodesView(
                Map.copyOf(index),
                loads.toArray(Load[]::new),
                withRoom,
                loads.stream().anyMatch(load -> load.state() == Node.State.UP));
    }

    /** Returns the same nodes with a new load of one node. If that node is not in the view, nothing changes. */
    NodesView with(Load load) {
        Integer at = index.get(load.name());
        if (at == null || loads[at].equals(load)) {
            return this;
        }
        Load[] changed = loads.clone();
        changed[at] = load;
        BitSet room = (BitSet) withRoom.clone();
        room.set(at, load.hasRoom());
        return new NodesView(index, changed, room, anyUp);
    }

    Optional<Load> find(String node) {
        Integer at = index.get(node);
        return at == null ? Optional.empty() : Optional.of(loads[at]);
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

    /** Returns whether any of these nodes has room. */
    boolean hasRoom(BitSet nodes) {
        return withRoom.intersects(nodes);
    }

    /** Returns whether any node has room. */
    boolean hasRoom() {
        return !withRoom.isEmpty();
    }

    boolean anyUp() {
        return anyUp;
    }
}
