package dev.penstock.schedule;

import dev.penstock.job.Priority;
import dev.penstock.route.RouteKey;
import dev.penstock.tenant.Tenants;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Orders the waiting jobs by priority, then by the attained service of their tenants, then by deadline, then by turn. While
 * jobs with low priority wait, they get a share of the starts. Jobs of one tenant that may use the same nodes and the same
 * slots form a lane. So the cost of finding the first job depends on the number of lanes, and not on the number of jobs.
 */
final class WaitingLine {
    private final Map<Priority, Map<Id, Lane>> lanes = new EnumMap<>(Priority.class);
    private final Map<Long, Lane> laneByTurn = new HashMap<>();
    private final Map<RouteKey, Integer> waitsByKey = new HashMap<>();
    private final double lowShare;
    private final Tenants tenants;
    /**
     * The credit of the jobs with low priority. Each of their starts costs 1. While such a job waits, each start of
     * another job adds a fraction of 1.
     */
    private double lowCredit;

    /** @param lowShare the share of all starts that jobs with low priority get while such jobs wait; from 0 to 1 */
    WaitingLine(double lowShare, Tenants tenants) {
        this.lowShare = lowShare;
        this.tenants = tenants;
        for (Priority priority : Priority.values()) {
            lanes.put(priority, new LinkedHashMap<>());
        }
    }

    /** @param topic the topic whose slots the jobs need; null if the jobs hold slots already */
    private record Id(
            RouteKey key,
            String tenant,
            @Nullable String topic,
            boolean avoidsNothing,
            Set<String> closed,
            Set<String> failed) {}

    /** The waiting jobs of one priority and one tenant that may use the same nodes and the same slots, in {@link Wait#BY_DEADLINE}. */
    static final class Lane {
        private final Id id;
        private final Priority priority;
        private final TreeSet<Wait> waits = new TreeSet<>(Wait.BY_DEADLINE);
        private Placement.Reach reach;

        private Lane(Id id, Priority priority, Placement.Reach reach) {
            this.id = id;
            this.priority = priority;
            this.reach = reach;
        }

        RouteKey key() {
            return id.key();
        }

        String tenant() {
            return id.tenant();
        }

        /** Returns whether the jobs avoid no node. */
        boolean avoidsNothing() {
            return id.avoidsNothing();
        }

        Set<String> closed() {
            return id.closed();
        }

        /** Returns the nodes at which the jobs failed. */
        Set<String> failed() {
            return id.failed();
        }

        Placement.Reach reach() {
            return reach;
        }

        Wait first() {
            return waits.first();
        }

        int size() {
            return waits.size();
        }
    }

    /**
     * Adds a wait.
     *
     * @param closed the nodes that the job cannot use now
     * @param failed the nodes at which the job failed
     * @param reach finds the nodes for a lane; called only if the lane is new
     */
    void add(Wait wait, Set<String> closed, Set<String> failed, Function<Lane, Placement.Reach> reach) {
        Id id = new Id(
                wait.key(),
                wait.tenant(),
                wait.holdsSlot() ? null : wait.topic(),
                wait.avoidsNothing(),
                closed,
                failed);
        Map<Id, Lane> ofPriority = of(wait.priority());
        Lane lane = ofPriority.get(id);
        if (lane == null) {
            lane = new Lane(id, wait.priority(), Placement.Reach.NOWHERE_YET);
            lane.reach = reach.apply(lane);
            ofPriority.put(id, lane);
        }
        lane.waits.add(wait);
        laneByTurn.put(wait.turn(), lane);
        waitsByKey.merge(wait.key(), 1, Integer::sum);
    }

    /** Removes a wait. A wait that is not in the order changes nothing. */
    void remove(Wait wait) {
        Lane lane = laneByTurn.remove(wait.turn());
        if (lane == null) {
            return;
        }
        lane.waits.remove(wait);
        if (lane.waits.isEmpty()) {
            of(lane.priority).remove(lane.id);
        }
        waitsByKey.computeIfPresent(wait.key(), (_, count) -> count == 1 ? null : count - 1);
    }

    /**
     * Returns the first waiting job that can proceed now; null if there is none.
     *
     * @param open tests whether the jobs of a lane can proceed now
     * @param starts whether a job that holds no slot can start; if so, the share of the jobs with low priority counts
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

    /** Returns the first waiting job of a priority that can proceed now; null if there is none. */
    @Nullable
    Wait first(Priority priority, Predicate<Lane> open) {
        Wait first = null;
        for (Lane lane : of(priority).values()) {
            if (open.test(lane)) {
                Wait head = lane.first();
                first = first == null || isBefore(head, first) ? head : first;
            }
        }
        return first;
    }

    private boolean isBefore(Wait one, Wait other) {
        int byTenant = tenants.compare(one.tenant(), other.tenant());
        return byTenant == 0 ? Wait.BY_DEADLINE.compare(one, other) < 0 : byTenant < 0;
    }

    /** Returns the route of a waiting job in this order, and the nodes that it may use. */
    Placement.Reach reach(Wait wait) {
        Lane lane = laneByTurn.get(wait.turn());
        return lane == null ? Placement.Reach.NOWHERE_YET : lane.reach;
    }

    /** Records that a job of this order has got one of the replica's slots. */
    void started(Priority priority) {
        if (priority == Priority.LOW) {
            lowCredit = Math.max(0, lowCredit - 1);
        } else if (!of(Priority.LOW).isEmpty()) {
            lowCredit = Math.min(1, lowCredit + lowShare / (1 - Math.min(lowShare, 0.99)));
        }
    }

    /** Updates the lanes after a change of the nodes. */
    void reroute(Function<Lane, Placement.Reach> reach) {
        lanes.values().forEach(some -> some.values().forEach(lane -> lane.reach = reach.apply(lane)));
    }

    /** Returns all lanes. Each lane has at least one waiting job. */
    List<Lane> lanes() {
        List<Lane> all = new ArrayList<>();
        lanes.values().forEach(some -> all.addAll(some.values()));
        return all;
    }

    /** Returns the number of waiting jobs for each route key. */
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
