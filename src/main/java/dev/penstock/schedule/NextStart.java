package dev.penstock.schedule;

import dev.penstock.schedule.slots.CallShare;
import dev.penstock.schedule.slots.ReplicaSlots;
import dev.penstock.settings.Placing;
import dev.penstock.tenant.Tenants;
import java.util.BitSet;
import java.util.HashSet;
import java.util.Set;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Decides which waiting job or direct call starts next, and at which node. Jobs and calls are ordered apart. While
 * both wait for the same node, {@link CallShare} decides whose turn it is there. Not thread-safe.
 */
final class NextStart {
    private final WaitingLine jobs;
    private final WaitingLine calls;
    private final ReplicaSlots slots;
    private final Groups groups;
    private final Tenants tenants;
    private final CallShare share;
    /** The nodes whose latest request was for a call. */
    private final Set<String> latestIsCall = new HashSet<>();

    /**
     * The nodes with room whose next slot is not for all that wait.
     *
     * @param toJobs the nodes where it is the turn of a call
     * @param toCalls the nodes where it is the turn of a job
     */
    private record Closed(BitSet toJobs, BitSet toCalls) {
        private static final Closed NOTHING = new Closed(new BitSet(), new BitSet());
    }

    NextStart(
            WaitingLine jobs, WaitingLine calls, ReplicaSlots slots, Groups groups, Tenants tenants, CallShare share) {
        this.jobs = jobs;
        this.calls = calls;
        this.slots = slots;
        this.groups = groups;
        this.tenants = tenants;
        this.share = share;
    }

    WaitingLine lineOf(Wait wait) {
        return wait.isCall() ? calls : jobs;
    }

    /** Returns the next start, or the end of a wait that no node can ever serve; null if there is neither now. */
    @Nullable
    Decision next(Placement placement, long now) {
        Wait call = firstCall(placement, Closed.NOTHING, now);
        Wait job = firstJob(placement, Closed.NOTHING, now);
        if (call == null || job == null) {
            Wait only = call == null ? job : call;
            return only == null ? null : grouped(placement, only, Closed.NOTHING, now);
        }
        Closed closed = closed(placement, now);
        Wait allowed = firstCall(placement, closed, now);
        // each node with room is open to one of both
        Wait first = allowed == null ? firstJob(placement, closed, now) : allowed;
        return first == null ? null : grouped(placement, first, closed, now);
    }

    private @Nullable Wait firstCall(Placement placement, Closed closed, long now) {
        return calls.first(lane -> isOpen(placement, lane, closed.toCalls(), now), false);
    }

    private @Nullable Wait firstJob(Placement placement, Closed closed, long now) {
        return jobs.first(lane -> isOpen(placement, lane, closed.toJobs(), now), slots.free() > 0);
    }

    /** Divides the nodes with room for which both calls and jobs wait. */
    private Closed closed(Placement placement, long now) {
        BitSet contested = room(jobs, placement, now);
        contested.and(room(calls, placement, now));
        BitSet forCalls = placement.nodes().where(contested, this::isForCalls);
        contested.andNot(forCalls);
        return new Closed(forCalls, contested);
    }

    private BitSet room(WaitingLine line, Placement placement, long now) {
        BitSet room = new BitSet();
        for (WaitingLine.Lane lane : line.lanes()) {
            if (mayStart(lane.first(), now)) {
                room.or(placement.room(lane.reach()));
            }
        }
        return room;
    }

    private boolean isForCalls(NodesView.Load load) {
        return share.isForCalls(load.limit(), load.calls(), latestIsCall.contains(load.name()));
    }

    /**
     * Returns whether a slot of a node is for this waiting job as soon as a request there ends.
     *
     * @param endsCall whether the request that ends is a call
     */
    boolean isNextAt(Placement placement, Wait wait, String node, boolean endsCall, long now) {
        NodesView nodes = placement.nodes();
        boolean isContested = (wait.isCall() ? jobs : calls)
                .lanes().stream()
                        .anyMatch(lane -> mayStart(lane.first(), now)
                                && nodes.isIn(lane.reach().nodes(), node));
        return !isContested
                || nodes.find(node)
                        .filter(load -> share.isForCalls(
                                        load.limit(), load.calls() - (endsCall ? 1 : 0), latestIsCall.contains(node))
                                == wait.isCall())
                        .isPresent();
    }

    /** Records that a node has given a slot to a waiting job or call. */
    void granted(Wait wait, String node) {
        if (wait.isCall()) {
            latestIsCall.add(node);
        } else {
            latestIsCall.remove(node);
        }
    }

    private boolean isOpen(Placement placement, WaitingLine.Lane lane, BitSet closed, long now) {
        return mayStart(lane.first(), now)
                && (lane.reach().isNowhere()
                        || (closed.isEmpty()
                                ? placement.hasRoom(lane.reach())
                                : placement.hasRoom(lane.reach(), closed)));
    }

    /** Returns whether the replica has a slot for a job, and the job's tenant is below its limits. */
    boolean mayStart(Wait wait, long now) {
        return wait.holdsSlot() || (hasSlot(wait) && tenants.mayStart(wait.tenant(), Schedule.millis(now)));
    }

    boolean hasSlot(Wait wait) {
        return wait.holdsSlot() || slots.mayTake(wait.topic());
    }

    /**
     * Returns the start of the first job, or of a job that goes in place of it: a job of the same tenant for the model
     * that the node holds, or one whose prompt begins like the last one there. A call may go in place of a job, and a job
     * in place of a call, so that the node does not load a model for each turn.
     */
    private Decision grouped(Placement placement, Wait first, Closed closed, long now) {
        Placement.Choice choice = placement.choose(
                lineOf(first).reach(first), first, first.isCall() ? closed.toCalls() : closed.toJobs(), now);
        if (!(choice instanceof Placement.Choice.Go(String node, String model)) || groups.isFirm(first, now)) {
            return decision(first, choice);
        }
        Wait same = groups.wouldSwap(node, model)
                ? first(
                        first,
                        lane -> lane.tenant().equals(first.tenant())
                                && isOpen(placement, lane, Closed.NOTHING.toJobs(), now)
                                && keepsModel(placement, lane, node, now))
                : groups.alike(first, node).stream()
                        .filter(wait -> wait.priority() == first.priority()
                                && wait.tenant().equals(first.tenant())
                                && mayStart(wait, now)
                                && goesTo(placement, wait, node, now))
                        .findFirst()
                        .orElse(null);
        if (same == null) {
            return decision(first, choice);
        }
        groups.passedOver(first, now);
        return decision(same, placement.choose(lineOf(same).reach(same), same, now));
    }

    /** Returns the first wait of the same kind as this one, or else of the other kind. */
    private @Nullable Wait first(Wait like, Predicate<WaitingLine.Lane> open) {
        Wait same = lineOf(like).first(like.priority(), open);
        return same == null ? (like.isCall() ? jobs : calls).first(like.priority(), open) : same;
    }

    private boolean goesTo(Placement placement, Wait wait, String node, long now) {
        return placement.choose(lineOf(wait).reach(wait), wait, now) instanceof Placement.Choice.Go(String to, String _)
                && to.equals(node);
    }

    /** Returns whether the first job of a lane would go to this node, for the model that the node holds. */
    private boolean keepsModel(Placement placement, WaitingLine.Lane lane, String node, long now) {
        return lane.first().demand().grouping().group() != Placing.Group.NONE
                && placement.choose(lane.reach(), lane.first(), now)
                        instanceof Placement.Choice.Go(String to, String model)
                && to.equals(node)
                && !groups.wouldSwap(node, model);
    }

    private static Decision decision(Wait wait, Placement.Choice choice) {
        return switch (choice) {
            case Placement.Choice.Go(String node, String model) -> new Decision.Grant(wait, node, model);
            case Placement.Choice.Never never -> new Decision.End(wait, new Admission.Refused(never.failure()));
            case Placement.Choice.AfterFetch _, Placement.Choice.Later _ ->
                throw new IllegalStateException("no node has room for " + wait);
        };
    }
}
