package dev.penstock.schedule;

import dev.penstock.job.Priority;
import dev.penstock.node.Node;
import dev.penstock.node.Nodes;
import dev.penstock.node.Replicas;
import dev.penstock.route.RouteKey;
import dev.penstock.settings.Settings;
import dev.penstock.tenant.Tenants;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import jakarta.inject.Inject;
import jakarta.inject.Singleton;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BiConsumer;
import java.util.function.BiFunction;
import java.util.function.BooleanSupplier;
import java.util.function.LongSupplier;
import java.util.function.Supplier;
import java.util.random.RandomGenerator;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Holds the waiting jobs. Each job waits for one of this replica's slots and for a node with a free slot, both at the
 * same time. So a job whose nodes are full blocks no other job. The scheduler passes events to the {@link Schedule}
 * under a lock, and carries out its decisions. It wakes a waiting thread only to end that thread's wait.
 */
@Singleton
public final class Scheduler {
    private static final Duration FAR = Duration.ofDays(365);

    private final Nodes nodes;
    private final Routes routes;
    private final Clock clock;
    private final LongSupplier nanos;
    private final RandomGenerator chance;
    private final ReentrantLock lock = new ReentrantLock();
    /* All below are guarded by the lock. */
    private final Schedule schedule;

    private final NextLook nextLook;
    private final Map<Long, Waiter> waiters = new HashMap<>();
    private long version = -1;
    private long nextTurn;
    private long wakeUps;
    private boolean settling;
    private BooleanSupplier crowded = () -> false;

    @Inject
    public Scheduler(Settings settings, Nodes nodes, Clock clock, MeterRegistry meters) {
        this(
                settings,
                nodes,
                clock,
                meters,
                sinceNow(),
                () -> ThreadLocalRandom.current().nextLong(),
                NextLook::later);
    }

    /**
     * @param nanos a clock that starts at 0
     * @param chance draws the nodes that are compared if there are many
     * @param timer runs a task after a delay
     */
    Scheduler(
            Settings settings,
            Nodes nodes,
            Clock clock,
            MeterRegistry meters,
            LongSupplier nanos,
            RandomGenerator chance,
            BiConsumer<Duration, Runnable> timer) {
        this.nodes = nodes;
        this.clock = clock;
        this.nanos = nanos;
        this.chance = chance;
        nextLook = new NextLook(timer);
        Settings.Intake intake = settings.intake();
        routes = new Routes(settings, nodes);
        Tenants tenants = new Tenants(settings.tenants());
        schedule = new Schedule(
                new WaitingLine(intake.lowShare(), tenants),
                new DeferralPolicy(intake.park(), intake.slots(), tenants),
                new ReplicaSlots(
                        intake.slots(),
                        intake.topics().stream()
                                .collect(Collectors.toMap(Settings.JobTopic::name, Settings.JobTopic::slots))),
                new ModelGroups(node ->
                        nodes.find(node).filter(ModelGroups::swapsModels).isPresent()),
                tenants);
        nodes.onChange(this::changed);
        for (Priority priority : Priority.values()) {
            Gauge.builder("penstock.jobs.waiting", schedule, _ -> locked(() -> schedule.waits(priority)))
                    .tag("priority", priority.wireName())
                    .register(meters);
        }
    }

    private static LongSupplier sinceNow() {
        long origin = System.nanoTime();
        return () -> System.nanoTime() - origin;
    }

    /**
     * Sets the test for scarce memory.
     *
     * @param nothingMore tests whether the jobs in flight leave no memory for further jobs; if so, even a few large
     *     waiting jobs may be too many
     */
    public void crowdedWhile(BooleanSupplier nothingMore) {
        locked(() -> crowded = nothingMore);
    }

    /**
     * Creates the queue entry of a run, with the next turn.
     *
     * @param promptChars the characters of the job's prompt
     * @param tenant the job's tenant
     * @param topic the job's topic; the job needs one of the replica's slots for this topic
     * @param deferredRecord whether the job arrived on a deferred record
     * @param deadline the job's deadline; null if it has none
     */
    public QueueEntry enter(
            RouteKey key,
            long promptChars,
            Priority priority,
            String tenant,
            String topic,
            boolean deferredRecord,
            @Nullable Instant deadline) {
        lock.lock();
        try {
            long due = deadline == null ? Wait.NEVER : time(deadline, nanos.getAsLong());
            return new QueueEntry(this, nextTurn++, key, promptChars, priority, tenant, topic, deferredRecord, due);
        } finally {
            lock.unlock();
        }
    }

    /**
     * Waits for a slot. If a slot was granted but the wait was interrupted or stopped, or its time is over, the slot is
     * given back.
     */
    Admission await(QueueEntry entry, Avoid avoid, Duration atMost) throws InterruptedException {
        lock.lockInterruptibly();
        try {
            if (entry.isStopped()) {
                return new Admission.Stopped();
            }
            if (!atMost.isPositive()) {
                return new Admission.TimedOut();
            }
            long now = nanos.getAsLong();
            Wait wait = entry.toWait(
                    avoid.useless(),
                    times(avoid.notBefore(), now),
                    now,
                    now + (atMost.compareTo(FAR) < 0 ? atMost : FAR).toNanos());
            return await(new Waiter(entry, wait, lock.newCondition()));
        } finally {
            lock.unlock();
        }
    }

    private Admission await(Waiter waiter) throws InterruptedException {
        Wait wait = waiter.wait;
        Admission result = null;
        waiters.put(wait.turn(), waiter);
        try {
            refresh();
            schedule.joined(wait, nanos.getAsLong());
            settle();
            Admission admission;
            while ((admission = waiter.admission) == null) {
                waiter.ended.await();
                wakeUps++;
            }
            boolean tooLate = admission instanceof Admission.Granted && wait.end() <= nanos.getAsLong();
            result =
                    waiter.entry.isStopped() ? new Admission.Stopped() : tooLate ? new Admission.TimedOut() : admission;
            return result;
        } finally {
            waiters.remove(wait.turn());
            schedule.left(wait);
            if (waiter.admission instanceof Admission.Granted(Node.Slot slot, String _)
                    && !(result instanceof Admission.Granted)) {
                slot.close();
            }
        }
    }

    void stop(QueueEntry entry) {
        lock.lock();
        try {
            entry.stopped();
            Waiter waiter = waiters.get(entry.turn());
            if (waiter != null && waiter.admission == null) {
                schedule.left(waiter.wait);
                waiter.end(new Admission.Stopped());
            }
        } finally {
            lock.unlock();
        }
    }

    void close(QueueEntry entry) {
        lock.lock();
        try {
            if (entry.giveBackSlot()) {
                schedule.slotGivenBack(entry.turn(), entry.topic());
                settle();
            }
        } finally {
            lock.unlock();
        }
    }

    /** Divides the limits of the tenants among the live replicas. */
    public void share(Replicas now) {
        lock.lock();
        try {
            schedule.tenants().share(now::share, now.count(), Schedule.millis(nanos.getAsLong()));
            settle();
        } finally {
            lock.unlock();
        }
    }

    /**
     * Answers a question about the tenants of the jobs in this replica.
     *
     * @param question gets the tenants, and the time in milliseconds for them
     */
    public <T> T askTenants(BiFunction<Tenants, Long, T> question) {
        return locked(() -> question.apply(schedule.tenants(), Schedule.millis(nanos.getAsLong())));
    }

    boolean hasOther(RouteKey key, Set<String> these, boolean up) {
        return placement().hasOther(key, these, up);
    }

    Placement placement() {
        return fresh(schedule::placement);
    }

    /** Returns whether any node takes jobs now. */
    public boolean isOpen() {
        return nodes.anyUp();
    }

    /** Returns how many of a topic's own slots its jobs do not hold. */
    public int slotsLeft(String topic) {
        return locked(() -> schedule.slotsLeft(topic));
    }

    /** Returns how many of the jobs that wait in this replica may run at this node. */
    public int waitingFor(String node) {
        return fresh(() -> schedule.waitsFor(node));
    }

    /** Returns how many jobs wait for full nodes while another node is idle. */
    public int blocked() {
        return fresh(() -> schedule.blocked(nanos.getAsLong()));
    }

    /** Answers with the present state of the nodes. */
    private <T> T fresh(Supplier<T> question) {
        return locked(() -> {
            refresh();
            return question.get();
        });
    }

    private <T> T locked(Supplier<T> question) {
        lock.lock();
        try {
            return question.get();
        } finally {
            lock.unlock();
        }
    }

    /** Returns how often waiting threads were woken. */
    long wakeUps() {
        return locked(() -> wakeUps);
    }

    /** Handles a change of a node: it may take more requests, or its state or its models have changed. */
    private void changed(String node) {
        lock.lock();
        try {
            nodes.find(node).ifPresent(found -> schedule.changed(load(found)));
            settle();
        } finally {
            lock.unlock();
        }
    }

    private void timePassed(long at) {
        lock.lock();
        try {
            nextLook.passed(at);
            settle();
        } finally {
            lock.unlock();
        }
    }

    /** Carries out all decisions that the latest event causes. */
    private void settle() {
        if (settling) {
            // the outer call of this method also handles this event
            return;
        }
        settling = true;
        long now = nanos.getAsLong();
        try {
            Decision decision;
            while ((decision = next(now)) != null) {
                carryOut(decision, now);
            }
        } finally {
            settling = false;
            nextLook.set(schedule.nextTime(now), now, this::timePassed);
        }
    }

    private @Nullable Decision next(long now) {
        refresh();
        return schedule.next(now, crowded);
    }

    private void carryOut(Decision decision, long now) {
        switch (decision) {
            case Decision.Grant(Wait wait, String node, String model) -> grant(wait, node, model, now);
            case Decision.End(Wait wait, Admission how) -> waiter(wait).end(how);
            case Decision.Fetch(String node, String model) -> nodes.fetchMissing(node, model);
        }
    }

    private void grant(Wait wait, String name, String model, long now) {
        Node node = nodes.find(name).orElse(null);
        Node.Slot slot = node == null ? null : node.tryAcquire(wait.promptChars());
        if (node == null || slot == null) {
            // the node reports when it has room again
            schedule.placement().nodes().find(name).ifPresent(load -> schedule.changed(load.full()));
            return;
        }
        schedule.changed(load(node));
        if (schedule.granted(wait, name, model, now)) {
            node.pace().swapped();
        }
        Waiter waiter = waiter(wait);
        waiter.entry.takeSlot();
        waiter.end(new Admission.Granted(slot, model));
    }

    private Waiter waiter(Wait wait) {
        return Objects.requireNonNull(waiters.get(wait.turn()));
    }

    /** Reads all nodes again if facts that affect the routes have changed. */
    private void refresh() {
        long latest = nodes.version();
        if (latest != version) {
            version = latest;
            schedule.rerouted(new Placement(
                    NodesView.of(nodes.all().stream().map(this::load).toList()), routes::of, chance));
        }
    }

    private NodesView.Load load(Node node) {
        return NodesView.Load.of(node, time(node.health().since(), nanos.getAsLong()));
    }

    private Map<String, Long> times(Map<String, Instant> instants, long now) {
        return instants.entrySet().stream()
                .collect(Collectors.toMap(Map.Entry::getKey, each -> time(each.getValue(), now)));
    }

    private long time(Instant instant, long now) {
        return now + Duration.between(clock.instant(), instant).toNanos();
    }
}
