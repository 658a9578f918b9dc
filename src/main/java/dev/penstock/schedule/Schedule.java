package dev.penstock.schedule;

import dev.penstock.job.JobFailure;
import dev.penstock.job.Priority;
import dev.penstock.route.RouteKey;
import dev.penstock.route.Router;
import dev.penstock.tenant.Tenants;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The whole state of the scheduling. It takes events and returns decisions. After each event, {@link #next} returns the
 * decisions one by one. When it returns null, there is nothing to do until the next event. It uses no node, no clock
 * and no thread: the scheduler carries out the decisions. Not thread-safe.
 */
final class Schedule {
    private static final long NEVER = Long.MAX_VALUE;

    private final WaitingLine line;
    private final DeferralPolicy deferral;
    private final ReplicaSlots slots;
    private final ModelGroups groups;
    private final Tenants tenants;
    private final TreeSet<Wait> byEnd =
            new TreeSet<>(Comparator.comparingLong(Wait::end).thenComparingLong(Wait::turn));
    /** For each waiting job that avoids nodes for a time: the next time when one of these nodes opens. */
    private final TreeSet<Opening> openings = new TreeSet<>(Comparator.comparingLong(Opening::time)
            .thenComparingLong(opening -> opening.waiting().turn()));

    private final Map<Long, Opening> openingByTurn = new HashMap<>();
    /** The route keys for which a decision since the latest event fetches a model. */
    private final Set<RouteKey> fetching = new HashSet<>();

    private Placement placement = new Placement(NodesView.EMPTY, _ -> new Router.Route.To(List.of()), () -> 0);

    private record Opening(long time, Wait waiting) {}

    Schedule(WaitingLine line, DeferralPolicy deferral, ReplicaSlots slots, ModelGroups groups, Tenants tenants) {
        this.line = line;
        this.deferral = deferral;
        this.slots = slots;
        this.groups = groups;
        this.tenants = tenants;
    }

    Placement placement() {
        return placement;
    }

    /** Returns a time of the scheduler's clock in milliseconds. */
    static long millis(long nanos) {
        return Math.floorDiv(nanos, 1_000_000L);
    }

    void joined(Wait wait, long now) {
        tenants.joined(wait.tenant(), millis(now));
        byEnd.add(wait);
        deferral.joined(wait, key -> placement.outage(key));
        enter(wait, now);
    }

    private void enter(Wait wait, long now) {
        line.add(wait, wait.closed(now), wait.notBefore().keySet(), this::reach);
        OptionalLong next = wait.nextOpening(now);
        if (next.isPresent()) {
            Opening opening = new Opening(next.getAsLong(), wait);
            openings.add(opening);
            openingByTurn.put(wait.turn(), opening);
        }
    }

    /** Removes a wait that has ended or was stopped. A wait that was removed before changes nothing. */
    void left(Wait wait) {
        if (!byEnd.remove(wait)) {
            return;
        }
        line.remove(wait);
        deferral.left(wait);
        groups.left(wait);
        tenants.left(wait.tenant());
        Opening opening = openingByTurn.remove(wait.turn());
        if (opening != null) {
            openings.remove(opening);
        }
    }

    /**
     * Records that the node of a decision has given a slot to the waiting job.
     *
     * @return whether the node must load the model in place of another one
     */
    boolean granted(Wait wait, String node, String model, long now) {
        tenants.granted(wait.turn(), wait.tenant(), wait.promptChars(), millis(now));
        left(wait);
        deferral.started(wait.key(), now);
        if (!wait.holdsSlot()) {
            slots.take(wait.topic());
            line.started(wait.priority());
        }
        return groups.granted(node, model);
    }

    /** Returns how many of a topic's own slots its jobs do not hold. */
    int slotsLeft(String topic) {
        return slots.left(topic);
    }

    /**
     * Returns how many jobs wait for full nodes while another node is idle. Later records may be jobs for the idle node.
     */
    int blocked(long now) {
        return slots.free() > 0 && placement.nodes().hasRoom()
                ? blockedLanes(now).mapToInt(WaitingLine.Lane::size).sum()
                : 0;
    }

    /** Frees a slot of the replica that a queue entry with this turn and this topic held. */
    void slotGivenBack(long turn, String topic) {
        slots.giveBack(topic);
        tenants.ended(turn);
    }

    Tenants tenants() {
        return tenants;
    }

    /** Applies a change of the nodes, of their states or of their models. */
    void rerouted(Placement now) {
        placement = now;
        line.reroute(this::reach);
        deferral.reroute(placement::outage);
    }

    /** Applies a new load of a node. */
    void changed(NodesView.Load load) {
        placement = placement.with(load);
    }

    private Placement.Reach reach(WaitingLine.Lane lane) {
        return placement.reach(lane.key(), lane.closed(), lane.failed());
    }

    /**
     * Returns the next decision; null if there is none until the next event.
     *
     * @param crowded tests whether the jobs in flight leave no memory for further jobs
     */
    @Nullable
    Decision next(long now, BooleanSupplier crowded) {
        if (!byEnd.isEmpty() && byEnd.first().end() <= now) {
            return end(byEnd.first(), new Admission.TimedOut());
        }
        open(now);
        deferral.passed(now);
        Wait down = deferral.nextOfOutage(now);
        if (down != null) {
            return end(down, new Admission.Deferred(Admission.Cause.NODES_DOWN));
        }
        Wait first = line.first(lane -> isOpen(lane, now), slots.free() > 0);
        if (first != null) {
            return place(grouped(first, now), now);
        }
        Decision fetch = fetch(now);
        if (fetch != null) {
            return fetch;
        }
        Wait limited = deferral.nextOfTenantLimit(now);
        if (limited != null) {
            return end(limited, new Admission.Deferred(Admission.Cause.TENANT_LIMIT));
        }
        Wait full = slots.free() > 0 ? deferral.nextOfPressure(pressure(now), crowded, now) : null;
        if (full != null) {
            return end(full, new Admission.Deferred(Admission.Cause.NODES_FULL));
        }
        fetching.clear();
        return null;
    }

    /** Returns the time at which the next decision may become due without an event. */
    long nextTime(long now) {
        long tenant = tenants.nextMillis(millis(now));
        return Math.min(
                Math.min(deferral.nextTime(), tenant == NEVER ? NEVER : tenant * 1_000_000),
                Math.min(
                        byEnd.isEmpty() ? NEVER : byEnd.first().end(),
                        openings.isEmpty() ? NEVER : openings.first().time()));
    }

    /** Moves each waiting job to another lane if a node that was closed to the job is open now. */
    private void open(long now) {
        while (!openings.isEmpty() && openings.first().time() <= now) {
            Wait wait = openings.removeFirst().waiting();
            openingByTurn.remove(wait.turn());
            line.remove(wait);
            enter(wait, now);
        }
    }

    private boolean isOpen(WaitingLine.Lane lane, long now) {
        return mayStart(lane, now) && (lane.reach().isNowhere() || placement.hasRoom(lane.reach()));
    }

    /** Returns whether the replica has a slot for the jobs of a lane, and their tenant is below its limits. */
    private boolean mayStart(WaitingLine.Lane lane, long now) {
        String topic = lane.topic();
        return topic == null || (slots.mayTake(topic) && tenants.mayStart(lane.tenant(), millis(now)));
    }

    /**
     * Returns the job that goes next in place of the first one: a job of the same tenant for the model that the node
     * holds. A job with a deadline gives way to no other.
     */
    private Wait grouped(Wait first, long now) {
        if (first.due() != Wait.NEVER
                || !(placement.choose(line.reach(first), first, now)
                        instanceof Placement.Choice.Go(String node, String model))
                || !groups.wouldSwap(node, model)
                || groups.hasWaitedEnough(first, now)) {
            return first;
        }
        Wait same = line.first(
                first.priority(),
                lane -> lane.tenant().equals(first.tenant()) && isOpen(lane, now) && keepsModel(lane, node, now));
        if (same == null) {
            return first;
        }
        groups.passedOver(first, now);
        return same;
    }

    /** Returns whether the first job of a lane would go to this node, for the model that the node holds. */
    private boolean keepsModel(WaitingLine.Lane lane, String node, long now) {
        return placement.choose(lane.reach(), lane.first(), now) instanceof Placement.Choice.Go(String to, String model)
                && to.equals(node)
                && !groups.wouldSwap(node, model);
    }

    private Decision place(Wait wait, long now) {
        return switch (placement.choose(line.reach(wait), wait, now)) {
            case Placement.Choice.Go(String node, String model) -> new Decision.Grant(wait, node, model);
            case Placement.Choice.Never(JobFailure failure) -> end(wait, new Admission.Unservable(failure));
            case Placement.Choice.AfterFetch _, Placement.Choice.Later _ ->
                throw new IllegalStateException("no node has room for " + wait);
        };
    }

    private @Nullable Decision fetch(long now) {
        for (WaitingLine.Lane lane : line.lanes()) {
            if (lane.reach().needsFetch()
                    && mayStart(lane, now)
                    && placement.choose(lane.reach(), lane.first(), now)
                            instanceof Placement.Choice.AfterFetch(String node, String model)
                    && fetching.add(lane.key())) {
                return new Decision.Fetch(node, model);
            }
        }
        return null;
    }

    /** Returns the waiting jobs that lack nothing but a node with room. */
    private Stream<WaitingLine.Lane> blockedLanes(long now) {
        return line.lanes().stream().filter(lane -> lane.avoidsNothing() && mayStart(lane, now));
    }

    /** Returns the route keys and topics that are full. */
    private DeferralPolicy.Pressure pressure(long now) {
        Set<RouteKey> full = new LinkedHashSet<>();
        blockedLanes(now).forEach(lane -> full.add(lane.key()));
        return new DeferralPolicy.Pressure(
                full, slots.fullTopics(), placement.nodes().hasRoom());
    }

    private Decision end(Wait wait, Admission how) {
        left(wait);
        return new Decision.End(wait, how);
    }

    int waits(Priority priority) {
        return line.waits(priority);
    }

    /** Returns how many of the waiting jobs may run at this node, now or when the node has their model. */
    int waitsFor(String node) {
        return line.waitsByKey().entrySet().stream()
                .filter(key -> placement.mayServe(key.getKey(), node))
                .mapToInt(Map.Entry::getValue)
                .sum();
    }
}
