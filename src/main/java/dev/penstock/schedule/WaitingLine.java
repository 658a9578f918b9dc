package dev.penstock.schedule;

import dev.penstock.job.Priority;
import dev.penstock.route.Router;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * The order of the waits: by priority, then by turn; low ones get their share of the starts while any wait. Waits that
 * may go to the same nodes for the same slots are one lane, so that the cost of finding the first depends on the number
 * of lanes, and not on the number of waits.
 */
final class WaitingLine {
    private static final Placement.Reach NO_REACH = new Placement.Reach(new Router.Route.To(List.of()), new BitSet());

    private final Map<Priority, Map<Id, Lane>> lanes = new EnumMap<>(Priority.class);
    private final Map<Long, Lane> laneByTurn = new HashMap<>();
    private final Map<RouteKey, Integer> waitsByKey = new HashMap<>();
    private final double lowShare;
    /** A start of a low wait costs 1; each start of another one earns a part while a low one waits. */
    private double lowCredit;

    /** @param lowShare the share of the starts that low waits get while any wait; 0 to 1 */
    WaitingLine(double lowShare) {
        this.lowShare = lowShare;
        for (Priority priority : Priority.values()) {
            lanes.put(priority, new LinkedHashMap<>());
        }
    }

    /** @param topic whose slots the waits need; null: they hold slots */
    private record Id(RouteKey key, @Nullable String topic, boolean avoidsNothing, Set<String> closed) {}

    /** Waits of one priority that may go to the same nodes for the same slots, by their turns. */
    static final class Lane {
        private final Id id;
        private final Priority priority;
        private final TreeMap<Long, Wait> waits = new TreeMap<>();
        private Placement.Reach reach;

        private Lane(Id id, Priority priority, Placement.Reach reach) {
            this.id = id;
            this.priority = priority;
            this.reach = reach;
        }

        RouteKey key() {
            return id.key();
        }

        /** The topic whose slots the waits need; null: they hold slots. */
        @Nullable
        String topic() {
            return id.topic();
        }

        /** Whether the waits avoid no node. */
        boolean avoidsNothing() {
            return id.avoidsNothing();
        }

        Set<String> closed() {
            return id.closed();
        }

        Placement.Reach reach() {
            return reach;
        }

        Wait first() {
            return waits.firstEntry().getValue();
        }
    }

    /**
     * @param closed nodes that the wait cannot go to now
     * @param reach asked for where the wait is the first of its lane
     */
    void add(Wait wait, Set<String> closed, Function<Lane, Placement.Reach> reach) {
        Id id = new Id(wait.key(), wait.holdsSlot() ? null : wait.topic(), wait.avoidsNothing(), closed);
        Map<Id, Lane> ofPriority = of(wait.priority());
        Lane lane = ofPriority.get(id);
        if (lane == null) {
            lane = new Lane(id, wait.priority(), NO_REACH);
            lane.reach = reach.apply(lane);
            ofPriority.put(id, lane);
        }
        lane.waits.put(wait.turn(), wait);
        laneByTurn.put(wait.turn(), lane);
        waitsByKey.merge(wait.key(), 1, Integer::sum);
    }

    /** A wait that is not in the order changes nothing. */
    void remove(Wait wait) {
        Lane lane = laneByTurn.remove(wait.turn());
        if (lane == null) {
            return;
        }
        lane.waits.remove(wait.turn());
        if (lane.waits.isEmpty()) {
            of(lane.priority).remove(lane.id);
        }
        waitsByKey.computeIfPresent(wait.key(), (_, count) -> count == 1 ? null : count - 1);
    }

    /**
     * The wait that goes first.
     *
     * @param open whether the waits of a lane can go now
     * @param starts whether a wait can start that holds no slot yet: then the share of the low ones counts
     */
    @Nullable
    Wait first(Predicate<Lane> open, boolean starts) {
        Wait low = starts && lowCredit >= 1 ? first(Priority.LOW, open) : null;
        if (low != null) {
            return low;
        }
        for (Priority priority : Priority.values()) {
            Wait first = first(priority, open);
            if (first != null) {
                return first;
            }
        }
        return null;
    }

    private @Nullable Wait first(Priority priority, Predicate<Lane> open) {
        Wait first = null;
        for (Lane lane : of(priority).values()) {
            if (open.test(lane)) {
                Wait head = lane.first();
                first = first == null || head.turn() < first.turn() ? head : first;
            }
        }
        return first;
    }

    /** Where a wait of this order may go. */
    Router.Route route(Wait wait) {
        Lane lane = laneByTurn.get(wait.turn());
        return (lane == null ? NO_REACH : lane.reach).route();
    }

    /** A wait that was in this order has got one of the replica's slots. */
    void started(Priority priority) {
        if (priority == Priority.LOW) {
            lowCredit = Math.max(0, lowCredit - 1);
        } else if (!of(Priority.LOW).isEmpty()) {
            lowCredit = Math.min(1, lowCredit + lowShare / (1 - Math.min(lowShare, 0.99)));
        }
    }

    /** The nodes have changed. */
    void reroute(Function<Lane, Placement.Reach> reach) {
        lanes.values().forEach(some -> some.values().forEach(lane -> lane.reach = reach.apply(lane)));
    }

    /** The lanes that are not empty. */
    List<Lane> lanes() {
        List<Lane> all = new ArrayList<>();
        lanes.values().forEach(some -> all.addAll(some.values()));
        return all;
    }

    /** The keys of the waits, and how many wait for each. */
    Map<RouteKey, Integer> waitsByKey() {
        return waitsByKey;
    }

    int waits(Priority priority) {
        return of(priority).values().stream()
                .mapToInt(lane -> lane.waits.size())
                .sum();
    }

    private Map<Id, Lane> of(Priority priority) {
        return lanes.getOrDefault(priority, Map.of());
    }
}
