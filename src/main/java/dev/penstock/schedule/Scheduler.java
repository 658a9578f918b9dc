package dev.penstock.schedule;

import dev.penstock.job.JobFailure;
import dev.penstock.job.Priority;
import dev.penstock.node.Node;
import dev.penstock.node.Nodes;
import dev.penstock.node.Replicas;
import dev.penstock.route.RouteKey;
import dev.penstock.route.balance.Demand;
import dev.penstock.schedule.preempt.Preemption;
import dev.penstock.schedule.preempt.RunningAttempt;
import dev.penstock.schedule.slots.ReplicaSlots;
import dev.penstock.schedule.time.NextLook;
import dev.penstock.schedule.time.Times;
import dev.penstock.settings.Settings;
import dev.penstock.tenant.Tenants;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tags;
import jakarta.inject.Inject;
import jakarta.inject.Singleton;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BiConsumer;
import java.util.function.BiFunction;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;
import java.util.random.RandomGenerator;
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
    private final NodesNow present;
    private final Times times;
    private final ReentrantLock lock = new ReentrantLock();
    /* All below are guarded by the lock. */
    private final Schedule schedule;

    private final NextLook nextLook;
    private final Map<Long, Waiter> waiters = new HashMap<>();
    private final Preemption preemption = new Preemption();
    private long nextTurn;
    private long wakeUps;
    private boolean settling;
    private BooleanSupplier crowded = () -> false;

    @Inject
    public Scheduler(Settings settings, Nodes nodes, Clock clock, MeterRegistry meters) {
        this(
                settings,
                nodes,
                Times.sinceNow(clock),
                meters,
                () -> ThreadLocalRandom.current().nextLong(),
                NextLook::later);
    }

    /**
     * @param chance draws the nodes that are compared if there are many
     * @param timer runs a task after a delay
     */
    Scheduler(
            Settings settings,
            Nodes nodes,
            Times times,
            MeterRegistry meters,
            RandomGenerator chance,
            BiConsumer<Duration, Runnable> timer) {
        this.nodes = nodes;
        this.times = times;
        nextLook = new NextLook(timer);
        present = new NodesNow(settings, nodes, times, chance);
        schedule = Schedule.of(
                settings,
                new Tenants(settings.tenants()),
                node -> nodes.find(node).filter(Groups::swapsModels).isPresent());
        nodes.onChange(this::changed);
        for (Priority priority : Priority.values()) {
            Tags tag = Tags.of("priority", priority.wireName());
            meters.gauge("penstock.jobs.waiting", tag, schedule, _ -> locked(() -> schedule.waits(priority)));
            meters.gauge("penstock.calls.waiting", tag, schedule, _ -> locked(() -> schedule.callsWaiting(priority)));
        }
    }

    /** Sets the test whether the jobs in flight leave no memory. Then even a few large waiting jobs may be too many. */
    public void crowdedWhile(BooleanSupplier nothingMore) {
        locked(() -> crowded = nothingMore);
    }

    /**
     * Creates the queue entry of a run, with the next turn.
     *
     * @param demand what the job asks of its node besides the key
     * @param tenant the job's tenant
     * @param topic the job's topic; the job needs one of the replica's slots for this topic
     * @param deferredRecord whether the job arrived on a deferred record
     * @param deadline the job's deadline; null if it has none
     */
    public QueueEntry enter(
            RouteKey key,
            Demand demand,
            Priority priority,
            String tenant,
            String topic,
            boolean deferredRecord,
            @Nullable Instant deadline) {
        return locked(() -> {
            long due = deadline == null ? Wait.NEVER : times.of(deadline);
            return new QueueEntry(this, nextTurn++, key, demand, priority, tenant, topic, deferredRecord, due);
        });
    }

    /**
     * Creates the queue entry of a direct call, with the next turn. A call needs none of the replica's slots. It is never
     * deferred. Instead its wait ends with {@link Admission.Refused}: {@code rate_limited} if its tenant is at a limit or
     * the line is full, {@code no_node} if no node that may serve it is up.
     *
     * @param deadline the call's deadline; null if it has none
     */
    public QueueEntry enterCall(
            RouteKey key, Demand demand, Priority priority, String tenant, @Nullable Instant deadline) {
        return enter(key, demand, priority, tenant, ReplicaSlots.NO_TOPIC, false, deadline);
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
            long now = times.now();
            Wait wait = entry.toWait(
                    avoid.useless(),
                    times.of(avoid.notBefore()),
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
            present.refresh(schedule);
            Optional<JobFailure> tooLong = schedule.placement().tooLong(wait);
            if (tooLong.isPresent()) {
                result = new Admission.Refused(tooLong.get());
                return result;
            }
            schedule.joined(wait, times.now());
            if (waiter.entry.preempts()) {
                preemption.waits(wait.turn(), () -> schedule.need(wait, times.now()));
            }
            settle();
            Admission admission;
            while ((admission = waiter.admission) == null) {
                waiter.ended.await();
                wakeUps++;
            }
            boolean tooLate = admission instanceof Admission.Granted && wait.end() <= times.now();
            result =
                    waiter.entry.isStopped() ? new Admission.Stopped() : tooLate ? new Admission.TimedOut() : admission;
            return result;
        } finally {
            waiters.remove(wait.turn());
            preemption.waitsNoMore(wait.turn());
            schedule.left(wait);
            if (waiter.admission instanceof Admission.Granted(Node.Slot slot, String _)
                    && !(result instanceof Admission.Granted)) {
                if (!wait.holdsSlot()) {
                    giveBackSlot(waiter.entry);
                }
                slot.close();
            }
        }
    }

    void stop(QueueEntry entry) {
        locked(() -> {
            entry.stopped();
            Waiter waiter = waiters.get(entry.turn());
            if (waiter != null && waiter.admission == null) {
                schedule.left(waiter.wait);
                waiter.end(new Admission.Stopped());
            }
        });
    }

    void close(QueueEntry entry) {
        locked(() -> giveBackSlot(entry));
    }

    private void giveBackSlot(QueueEntry entry) {
        if (entry.giveBackSlot()) {
            schedule.slotGivenBack(entry.turn(), entry.topic());
            settle();
        }
    }

    List<Node> candidates(RouteKey key) {
        return present.candidates(key);
    }

    QueueEntry.Running runs(QueueEntry entry, RunningAttempt attempt) {
        locked(() -> {
            preemption.began(
                    entry.turn(),
                    new Preemption.Candidate(entry.priority(), entry.topic(), entry.preemptions(), attempt));
            settle();
        });
        return () -> locked(() -> {
            preemption.ended(entry.turn());
            settle();
        });
    }

    void preempted(QueueEntry entry, RunningAttempt attempt) {
        locked(() -> {
            entry.countPreemption();
            preemption.stopped(entry.turn());
            if (attempt.givesReplicaSlot()) {
                giveBackSlot(entry);
            }
        });
    }

    Optional<Admission.Granted> spare(QueueEntry entry, Avoid avoid, String first) {
        return fresh(() -> {
            long now = times.now();
            Set<String> useless = new HashSet<>(avoid.useless());
            useless.add(first);
            Wait wait = entry.toWait(useless, times.of(avoid.notBefore()), now, Wait.NEVER);
            return schedule.spare(wait, now)
                    .flatMap(go -> Optional.ofNullable(present.take(schedule, go.node(), wait))
                            .map(slot -> new Admission.Granted(slot, go.model())));
        });
    }

    /** Divides the limits of the tenants among the live replicas. */
    public void share(Replicas now) {
        locked(() -> {
            schedule.tenants().share(now::share, now.count(), Schedule.millis(times.now()));
            settle();
        });
    }

    /** Answers a question about the tenants of the jobs in this replica, and the time in milliseconds for them. */
    public <T> T askTenants(BiFunction<Tenants, Long, T> question) {
        return locked(() -> question.apply(schedule.tenants(), Schedule.millis(times.now())));
    }

    boolean hasOther(RouteKey key, Set<String> these, boolean up) {
        return fresh(() -> present.hasOther(schedule.placement(), key, these, up));
    }

    Placement placement() {
        return fresh(schedule::placement);
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
        return fresh(() -> schedule.blocked());
    }

    /** Returns whether a job waits for a node that must load the job's model in place of another one. */
    public boolean swapsWait() {
        return fresh(schedule::swapsWait);
    }

    /** Answers with the present state of the nodes. */
    private <T> T fresh(Supplier<T> question) {
        return locked(() -> {
            present.refresh(schedule);
            return question.get();
        });
    }

    private void locked(Runnable event) {
        lock.lock();
        try {
            event.run();
        } finally {
            lock.unlock();
        }
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
        locked(() -> {
            nodes.find(node).ifPresent(found -> schedule.changed(present.load(found)));
            settle();
        });
    }

    private void timePassed(long at) {
        locked(() -> {
            nextLook.passed(at);
            settle();
        });
    }

    /** Carries out all decisions that the latest event causes. */
    private void settle() {
        if (settling) {
            // the outer call of this method also handles this event
            return;
        }
        settling = true;
        long now = times.now();
        try {
            Decision decision;
            while ((decision = next(now)) != null) {
                carryOut(decision, now);
            }
            preemption.askForWaiting();
        } finally {
            settling = false;
            nextLook.set(schedule.nextTime(now), now, this::timePassed);
        }
    }

    private @Nullable Decision next(long now) {
        present.refresh(schedule);
        return schedule.next(now, crowded);
    }

    private void carryOut(Decision decision, long now) {
        switch (decision) {
            case Decision.Grant(Wait wait, String node, String model) -> grant(wait, node, model, now);
            case Decision.End(Wait wait, Admission how) ->
                Objects.requireNonNull(waiters.get(wait.turn())).end(how);
            case Decision.Fetch(String node, String model) -> nodes.fetchMissing(node, model);
        }
    }

    private void grant(Wait wait, String name, String model, long now) {
        Node.Slot slot = present.take(schedule, name, wait);
        if (slot == null) {
            return;
        }
        if (schedule.granted(wait, name, model, now)) {
            slot.node().pace().swapped();
        }
        Waiter waiter = Objects.requireNonNull(waiters.get(wait.turn()));
        waiter.entry.takeSlot();
        waiter.end(new Admission.Granted(slot, model));
    }
}
