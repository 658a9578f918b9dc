package dev.penstock.schedule;

import dev.penstock.job.JobFailure;
import dev.penstock.job.Priority;
import dev.penstock.route.RouteKey;
import dev.penstock.route.Router;
import dev.penstock.route.balance.Fit;
import dev.penstock.schedule.preempt.Preemption;
import dev.penstock.schedule.time.Openings;
import dev.penstock.settings.Placing;
import dev.penstock.settings.Settings;
import dev.penstock.tenant.Tenants;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.BooleanSupplier;
import java.util.function.Predicate;
import java.util.stream.Collectors;
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
    private final Groups groups;
    private final Tenants tenants;
    private final TreeSet<Wait> byEnd =
            new TreeSet<>(Comparator.comparingLong(Wait::end).thenComparingLong(Wait::turn));
    private final Openings<Wait> openings = new Openings<>();
    /** The waiting jobs whose prompts are too long for some of their nodes, by turn. */
    private final Set<Long> tight = new HashSet<>();
    /** The route keys for which a decision since the latest event fetches a model. */
    private final Set<RouteKey> fetching = new HashSet<>();

    private Placement placement = new Placement(NodesView.EMPTY, _ -> new Router.Route.To(List.of()), () -> 0);

    Schedule(WaitingLine line, DeferralPolicy deferral, ReplicaSlots slots, Groups groups, Tenants tenants) {
        this.line = line;
        this.deferral = deferral;
        this.slots = slots;
        this.groups = groups;
        this.tenants = tenants;
    }

    /** @param swapsModels tests whether a node, by its name, loads a model in place of another one */
    static Schedule of(Settings.Intake intake, Tenants tenants, Predicate<String> swapsModels) {
        return new Schedule(
                new WaitingLine(intake.lowShare(), tenants),
                new DeferralPolicy(intake.park(), intake.slots(), tenants),
                new ReplicaSlots(
                        intake.slots(),
                        intake.topics().stream()
                                .collect(Collectors.toMap(Settings.JobTopic::name, Settings.JobTopic::slots))),
                new Groups(swapsModels),
                tenants);
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
        groups.joined(wait);
        enter(wait, now);
    }

    private void enter(Wait wait, long now) {
        Set<String> closed = wait.closed(now);
        Optional<Fit> fit = placement.tightFit(wait);
        if (fit.isPresent()) {
            tight.add(wait.turn());
            closed = new HashSet<>(closed);
            closed.addAll(fit.get().leftOut().keySet());
        }
        line.add(wait, closed, wait.notBefore().keySet(), this::reach);
        wait.nextOpening(now).ifPresent(time -> openings.add(wait.turn(), time, wait));
    }

    /** Removes a wait that has ended or was stopped. A wait that was removed before changes nothing. */
    void left(Wait wait) {
        if (!byEnd.remove(wait)) {
            return;
        }
        exit(wait);
        deferral.left(wait);
        groups.left(wait);
        tenants.left(wait.tenant());
    }

    /** Takes a wait out of its lane. */
    private void exit(Wait wait) {
        line.remove(wait);
        tight.remove(wait.turn());
        openings.remove(wait.turn());
    }

    /**
     * Records that the node of a decision has given a slot to the waiting job.
     *
     * @return whether the node must load the model in place of another one
     */
    boolean granted(Wait wait, String node, String model, long now) {
        tenants.granted(wait.turn(), wait.tenant(), wait.demand().promptChars(), millis(now));
        left(wait);
        deferral.started(wait.key(), now);
        if (!wait.holdsSlot()) {
            slots.take(wait.topic());
            line.started(wait.priority());
        }
        return groups.granted(wait, node, model);
    }

    /** Returns how many of a topic's own slots its jobs do not hold. */
    int slotsLeft(String topic) {
        return slots.left(topic);
    }

    /** Returns how many jobs wait for full nodes, or for a tenant at a limit, while a node is idle that others may use. */
    int blocked() {
        return slots.free() > 0 && placement.nodes().hasRoom()
                ? line.lanes().stream()
                        .filter(lane -> lane.avoidsNothing() && hasSlot(lane.first()))
                        .mapToInt(WaitingLine.Lane::size)
                        .sum()
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
    void rerouted(Placement latest, long now) {
        placement = latest;
        line.reroute(this::reach);
        deferral.reroute(placement::outage);
        for (Wait wait : List.copyOf(byEnd)) {
            if (tight.contains(wait.turn()) || placement.tightFit(wait).isPresent()) {
                exit(wait);
                enter(wait, now);
            }
        }
    }

    /**
     * Sets the paused topics, each with the time since when it is paused. Their jobs do not start; those that hold one of
     * the replica's slots go on.
     */
    void paused(Map<String, Long> topics) {
        slots.pause(topics.keySet());
        deferral.pause(topics);
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
        Wait paused = deferral.nextOfPause(now);
        if (paused != null) {
            return end(paused, new Admission.Deferred(Admission.Cause.TOPIC_PAUSED));
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
                Math.min(byEnd.isEmpty() ? NEVER : byEnd.first().end(), openings.nextTime()));
    }

    /** Moves each waiting job to another lane if a node that was closed to the job is open now. */
    private void open(long now) {
        Wait wait;
        while ((wait = openings.firstOpen(now)) != null) {
            exit(wait);
            enter(wait, now);
        }
    }

    private boolean isOpen(WaitingLine.Lane lane, long now) {
        return mayStart(lane.first(), now) && (lane.reach().isNowhere() || placement.hasRoom(lane.reach()));
    }

    private boolean goesTo(Wait wait, String node, long now) {
        return placement.choose(line.reach(wait), wait, now) instanceof Placement.Choice.Go(String to, String _)
                && to.equals(node);
    }

    /** Returns whether the replica has a slot for a job, and the job's tenant is below its limits. */
    private boolean mayStart(Wait wait, long now) {
        return wait.holdsSlot() || (hasSlot(wait) && tenants.mayStart(wait.tenant(), millis(now)));
    }

    private boolean hasSlot(Wait wait) {
        return wait.holdsSlot() || slots.mayTake(wait.topic());
    }

    /**
     * Returns the job that goes next in place of the first one: a job of the same tenant for the model that the node
     * holds, or one whose prompt begins like the last one there.
     */
    private Wait grouped(Wait first, long now) {
        if (groups.isFirm(first, now)
                || !(placement.choose(line.reach(first), first, now)
                        instanceof Placement.Choice.Go(String node, String model))) {
            return first;
        }
        Wait same = groups.wouldSwap(node, model)
                ? line.first(
                        first.priority(),
                        lane -> lane.tenant().equals(first.tenant())
                                && isOpen(lane, now)
                                && keepsModel(lane, node, now))
                : groups.alike(first, node).stream()
                        .filter(wait -> wait.priority() == first.priority()
                                && wait.tenant().equals(first.tenant())
                                && mayStart(wait, now)
                                && goesTo(wait, node, now))
                        .findFirst()
                        .orElse(null);
        if (same == null) {
            return first;
        }
        groups.passedOver(first, now);
        return same;
    }

    /** Returns whether the first job of a lane would go to this node, for the model that the node holds. */
    private boolean keepsModel(WaitingLine.Lane lane, String node, long now) {
        return lane.first().demand().grouping().group() != Placing.Group.NONE
                && placement.choose(lane.reach(), lane.first(), now)
                        instanceof Placement.Choice.Go(String to, String model)
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

    /** Returns what a waiting job needs of a running one; empty if no running job can help. */
    Optional<Preemption.Need> need(Wait wait, long now) {
        Placement.Reach reach = line.reach(wait);
        boolean lacksReplicaSlot = !hasSlot(wait);
        boolean hasRoom = placement.hasRoom(reach);
        boolean isLimited = !wait.holdsSlot() && !tenants.mayStart(wait.tenant(), millis(now));
        if (isLimited || reach.isNowhere() || reach.needsFetch() || (hasRoom && !lacksReplicaSlot)) {
            return Optional.empty();
        }
        NodesView nodes = placement.nodes();
        Set<String> full = nodes.full(nodes.usable(reach.nodes(), reach.failed()));
        return Optional.of(new Preemption.Need(
                wait.priority(),
                node -> hasRoom || full.contains(node),
                topic -> !lacksReplicaSlot || slots.mayTakeAfter(wait.topic(), topic),
                lacksReplicaSlot));
    }

    /**
     * Returns the node that can take a second request of a running job at once. No job waits for this node, the node has
     * the model in memory, and its breaker is closed.
     */
    Optional<Placement.Choice.Go> spare(Wait wait, long now) {
        return placement.spare(wait, now, this::isSpare);
    }

    private boolean isSpare(Router.Candidate candidate) {
        return placement
                        .nodes()
                        .find(candidate.node())
                        .filter(load -> load.hasRoom() && !load.isTrial() && !load.mustLoad(candidate.model()))
                        .isPresent()
                && !groups.wouldSwap(candidate.node(), candidate.model())
                && waitsFor(candidate.node()) == 0;
    }

    /** Returns whether a job waits for a node that must load the job's model in place of another one. */
    boolean swapsWait() {
        return line.lanes().stream()
                .anyMatch(lane -> Routes.candidates(lane.reach().route()).stream()
                        .flatMap(List::stream)
                        .anyMatch(candidate -> groups.wouldSwap(candidate.node(), candidate.model())));
    }

    private @Nullable Decision fetch(long now) {
        for (WaitingLine.Lane lane : line.lanes()) {
            if (lane.reach().needsFetch()
                    && mayStart(lane.first(), now)
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
        return line.lanes().stream().filter(lane -> lane.avoidsNothing() && mayStart(lane.first(), now));
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
