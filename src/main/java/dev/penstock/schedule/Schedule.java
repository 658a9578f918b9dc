package dev.penstock.schedule;

import dev.penstock.job.Priority;
import dev.penstock.route.RouteKey;
import dev.penstock.route.Router;
import dev.penstock.route.balance.Fit;
import dev.penstock.schedule.preempt.Preemption;
import dev.penstock.schedule.slots.CallShare;
import dev.penstock.schedule.slots.ReplicaSlots;
import dev.penstock.schedule.time.Openings;
import dev.penstock.settings.Settings;
import dev.penstock.tenant.Tenants;
import java.util.ArrayList;
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
    private final Calls calls;
    private final WaitingLine callLine;
    private final NextStart starts;
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

    /** @param line orders the waiting jobs; the direct calls have a line of their own */
    Schedule(
            WaitingLine line,
            DeferralPolicy deferral,
            ReplicaSlots slots,
            Groups groups,
            Tenants tenants,
            Settings.Admission admission) {
        this.line = line;
        calls = new Calls(admission.maxWaiting(), tenants);
        callLine = new WaitingLine(0, tenants);
        starts = new NextStart(line, callLine, slots, groups, tenants, new CallShare(admission.interactiveShare()));
        this.deferral = deferral;
        this.slots = slots;
        this.groups = groups;
        this.tenants = tenants;
    }

    /** @param swapsModels tests whether a node, by its name, loads a model in place of another one */
    static Schedule of(Settings settings, Tenants tenants, Predicate<String> swapsModels) {
        Settings.Intake intake = settings.intake();
        return new Schedule(
                new WaitingLine(intake.lowShare(), tenants),
                new DeferralPolicy(intake.park(), intake.slots(), tenants),
                new ReplicaSlots(
                        intake.slots(),
                        intake.topics().stream()
                                .collect(Collectors.toMap(Settings.JobTopic::name, Settings.JobTopic::slots))),
                new Groups(swapsModels),
                tenants,
                settings.admission());
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
        if (wait.isCall()) {
            calls.joined(wait);
        } else {
            deferral.joined(wait, key -> placement.outage(key));
        }
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
        starts.lineOf(wait).add(wait, closed, wait.notBefore().keySet(), this::reach);
        wait.nextOpening(now).ifPresent(time -> openings.add(wait.turn(), time, wait));
    }

    /** Removes a wait that has ended or was stopped. A wait that was removed before changes nothing. */
    void left(Wait wait) {
        if (!byEnd.remove(wait)) {
            return;
        }
        exit(wait);
        if (wait.isCall()) {
            calls.left(wait);
        } else {
            deferral.left(wait);
        }
        groups.left(wait);
        tenants.left(wait.tenant());
    }

    /** Takes a wait out of its lane. */
    private void exit(Wait wait) {
        starts.lineOf(wait).remove(wait);
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
        starts.granted(wait, node);
        if (!wait.isCall()) {
            deferral.started(wait.key(), now);
        }
        if (!wait.holdsSlot()) {
            slots.take(wait.topic());
            starts.lineOf(wait).started(wait.priority());
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
                        .filter(lane -> lane.avoidsNothing() && starts.hasSlot(lane.first()))
                        .mapToInt(WaitingLine.Lane::size)
                        .sum()
                : 0;
    }

    /** Frees what a queue entry with this turn and this topic held: its slot of the replica, and its part of the limits. */
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
        callLine.reroute(this::reach);
        calls.rerouted();
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
        Decision refused = calls.refused(placement, now);
        if (refused != null) {
            return made(refused);
        }
        deferral.passed(now);
        Wait down = deferral.nextOfOutage(now);
        if (down != null) {
            return end(down, new Admission.Deferred(Admission.Cause.NODES_DOWN));
        }
        Wait paused = deferral.nextOfPause(now);
        if (paused != null) {
            return end(paused, new Admission.Deferred(Admission.Cause.TOPIC_PAUSED));
        }
        Decision start = starts.next(placement, now);
        if (start != null) {
            return made(start);
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
        Decision surplus = calls.surplus();
        return surplus == null ? null : made(surplus);
    }

    private Decision made(Decision decision) {
        if (decision instanceof Decision.End(Wait wait, Admission _)) {
            left(wait);
        }
        return decision;
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

    /** Returns what a waiting job needs of a running one; empty if no running job can help. */
    Optional<Preemption.Need> need(Wait wait, long now) {
        Placement.Reach reach = starts.lineOf(wait).reach(wait);
        boolean lacksReplicaSlot = !starts.hasSlot(wait);
        boolean hasRoom = placement.hasRoom(reach);
        boolean isLimited = !wait.holdsSlot() && !tenants.mayStart(wait.tenant(), millis(now));
        if (isLimited || reach.isNowhere() || reach.needsFetch() || (hasRoom && !lacksReplicaSlot)) {
            return Optional.empty();
        }
        NodesView nodes = placement.nodes();
        Set<String> full = nodes.full(nodes.usable(reach.nodes(), reach.failed()));
        return Optional.of(new Preemption.Need(
                wait.priority(),
                running -> (hasRoom || (full.contains(running.node()) && isNextAfter(running, wait, now)))
                        && (!lacksReplicaSlot || slots.mayTakeAfter(wait.topic(), running.topic())),
                lacksReplicaSlot));
    }

    private boolean isNextAfter(Preemption.Candidate running, Wait wait, long now) {
        boolean endsCall = running.topic().equals(ReplicaSlots.NO_TOPIC);
        return starts.isNextAt(placement, wait, running.node(), endsCall, now);
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
        List<WaitingLine.Lane> lanes = new ArrayList<>(callLine.lanes());
        lanes.addAll(line.lanes());
        for (WaitingLine.Lane lane : lanes) {
            if (lane.reach().needsFetch()
                    && starts.mayStart(lane.first(), now)
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
        return line.lanes().stream().filter(lane -> lane.avoidsNothing() && starts.mayStart(lane.first(), now));
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

    int callsWaiting(Priority priority) {
        return callLine.waits(priority);
    }

    /** Returns how many of the waiting jobs and calls may run at this node, now or when the node has their model. */
    int waitsFor(String node) {
        return Stream.of(line, callLine)
                .flatMap(one -> one.waitsByKey().entrySet().stream())
                .filter(key -> placement.mayServe(key.getKey(), node))
                .mapToInt(Map.Entry::getValue)
                .sum();
    }
}
