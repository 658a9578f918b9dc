package dev.penstock.dispatch;

import dev.penstock.job.JobFailure;
import dev.penstock.job.Priority;
import dev.penstock.job.PromptJob;
import dev.penstock.node.Node;
import dev.penstock.node.Nodes;
import dev.penstock.route.Router;
import dev.penstock.settings.Settings;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import jakarta.inject.Singleton;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BooleanSupplier;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Where jobs wait: by priority, then by turn, for one of this replica's slots and a node with a free slot, both at once,
 * so that a job whose nodes are full holds up nobody else. Low ones get their share of the starts while any wait.
 *
 * <p>A job keeps its place here only while its obstacle is short. It is to be set aside when all nodes that may serve it have
 * been down for a while and others are up, or when many wait and another node is idle: what is behind them in the topics may
 * be for that one.
 */
@Singleton
public final class Line {
    private static final Duration FAR = Duration.ofDays(365);
    /** So many slots for each that may wait while a node is idle: each of those that wait may hold up a consumer's batch. */
    private static final int PARKED_SHARE = 8;

    /** How long a job waits for a full node before it makes room: it may hold up a consumer's batch. */
    private static final Duration PATIENCE = Duration.ofMillis(300);

    /** A copy holds up nobody's batch; but while it is here others that were set aside are not. */
    private static final Duration PATIENCE_OF_COPIES = Duration.ofSeconds(5);
    /** So that a node is not idle while those that made room are away. */
    private static final Duration KEPT_FOR = Duration.ofSeconds(6);

    /** So much later than it could a job may look again. */
    private static final Duration SOON = Duration.ofMillis(10);

    private static final int MANY_WISHES = 1_000;

    private final Nodes nodes;
    private final Routes routes;
    private final Clock clock;
    private final Duration park;
    private final double lowShare;
    private final int slots;

    private final ReentrantLock lock = new ReentrantLock();
    /* All below are guarded by the lock. */
    private final TreeSet<Waiter> waiters =
            new TreeSet<>(Comparator.comparing((Waiter waiter) -> waiter.ticket.job.priority())
                    .thenComparingLong(waiter -> waiter.ticket.turn));
    private final Map<String, Integer> slotsLeft = new HashMap<>();
    private final Map<Wish, Integer> waitingByWish = new HashMap<>();
    /** When jobs of a wish were sent to their nodes lately, in nanoseconds. */
    private final Map<Wish, ArrayDeque<Long>> starts = new HashMap<>();

    private int freeSlots;
    private int waitersWithSlot;
    private double lowCredit;
    private long nextTurn;
    private long wakeUps;
    private volatile BooleanSupplier crowded = () -> false;

    public Line(Settings settings, Nodes nodes, Clock clock, MeterRegistry meters) {
        this.nodes = nodes;
        this.clock = clock;
        park = settings.intake().park();
        lowShare = settings.intake().lowShare();
        slots = settings.intake().slots();
        settings.intake().topics().forEach(topic -> slotsLeft.put(topic.name(), topic.slots()));
        routes = new Routes(settings, nodes);
        freeSlots = slots;
        nodes.onChange(this::changed);
        for (Priority priority : Priority.values()) {
            Gauge.builder("penstock.jobs.waiting", this, line -> line.waiting(priority))
                    .tag("priority", priority.wireName())
                    .register(meters);
        }
    }

    /** @param nothingMore whether what is in hand leaves no room for further jobs: few large ones may be too many to wait */
    void crowdedWhile(BooleanSupplier nothingMore) {
        crowded = nothingMore;
    }

    /** How a wait in the line ended. */
    sealed interface Place {
        /** The job may go to this node. */
        record Taken(Node.Slot slot, String model) implements Place {}

        /** Nothing here can ever serve it. */
        record Nowhere(JobFailure failure) implements Place {}

        /**
         * It has to be set aside.
         *
         * @param down its nodes are; false: they are only full
         */
        record Blocked(boolean down) implements Place {}

        /** The signal was given. */
        record Stopped() implements Place {}

        /** The time ran out. */
        record TooLate() implements Place {}
    }

    /** A job's place in the line over all its attempts; it holds one of the replica's slots from its first node on. */
    final class Ticket implements AutoCloseable {
        private final PromptJob job;
        private final String topic;
        private final Wish wish;
        private final boolean isCopy;
        private boolean hasSlot;
        /** Its place among those of its priority; negative: it has not waited yet. */
        private long turn = -1;

        Ticket(TakenJob taken) {
            isCopy = taken.isCopy();
            job = taken.job();
            topic = taken.place().topic();
            wish = Wish.of(job);
        }

        /**
         * Waits for a node. What is granted and not returned, since the wait was interrupted or stopped meanwhile, is given
         * back.
         */
        Place await(RetryPlan.Avoid avoid, StopSignal signal, Duration atMost) throws InterruptedException {
            if (signal.isGiven()) {
                return new Place.Stopped();
            }
            if (!atMost.isPositive()) {
                return new Place.TooLate();
            }
            lock.lockInterruptibly();
            turn = turn < 0 ? nextTurn++ : turn;
            Waiter waiter = new Waiter(this, avoid, lock.newCondition());
            Place told = null;
            try {
                join(waiter);
                serve();
                long end = System.nanoTime() + Math.min(atMost.toNanos(), FAR.toNanos());
                waiter.endsNanos = end;
                try (var _ = signal.wakeBy(() -> wake(waiter))) {
                    while (waiter.place == null && !signal.isGiven() && end - System.nanoTime() > 0) {
                        long parked = parkedNanos(waiter);
                        if (parked <= 0) {
                            waiter.place = new Place.Blocked(true);
                        } else {
                            pass(waiter, Math.min(end - System.nanoTime(), parked));
                        }
                    }
                }
                Place place = waiter.place;
                boolean over = place instanceof Place.Taken && end - System.nanoTime() <= 0;
                told = signal.isGiven() ? new Place.Stopped() : place == null || over ? new Place.TooLate() : place;
                return told;
            } finally {
                leave(waiter);
                if (waiter.place instanceof Place.Taken(Node.Slot slot, String _) && !(told instanceof Place.Taken)) {
                    slot.close();
                }
                lock.unlock();
            }
        }

        /** Until it is woken, or the next thing happens that time alone brings about; called in a loop. */
        @SuppressWarnings("WaitNotInLoop")
        private void pass(Waiter waiter, long atMost) throws InterruptedException {
            long patience = waiter.patienceNanos();
            Duration most = Duration.ofNanos(atMost);
            Duration again = waiter.avoid.untilNext(clock.instant(), most);
            long wait = Math.min(again.toNanos(), patience > 0 ? patience : atMost);
            waiter.wakesNanos = System.nanoTime() + atMost;
            var _ = waiter.turnCame.awaitNanos(wait);
            wakeUps++;
            if (patience > 0 && waiter.place == null && waiter.patienceNanos() <= 0) {
                serve();
            } else if (waiter.place == null && again.compareTo(most) < 0) {
                // it alone may go to a node that it could not go to before
                serve(waiter, new HashSet<>());
            }
        }

        /** Whether a node other than these may serve the job, and is up. */
        boolean hasOther(Set<String> failed) {
            return mayGo(failed, Node.State.UP);
        }

        /** Whether a node other than these may serve the job, now or once it is up. */
        boolean mayHaveOther(Set<String> closed) {
            return mayGo(closed, null);
        }

        private boolean mayGo(Set<String> failed, Node.@Nullable State in) {
            lock.lock();
            try {
                return routes.of(wish) instanceof Router.Route.To(List<List<Router.Candidate>> pools)
                        && pools.stream()
                                .flatMap(List::stream)
                                .filter(candidate -> !failed.contains(candidate.node()))
                                .anyMatch(candidate -> nodes.find(candidate.node())
                                        .filter(node ->
                                                in == null || node.health().state() == in)
                                        .isPresent());
            } finally {
                lock.unlock();
            }
        }

        @Override
        public void close() {
            lock.lock();
            try {
                if (hasSlot) {
                    hasSlot = false;
                    freeSlots++;
                    slotsLeft.computeIfPresent(topic, (_, left) -> left + 1);
                    serve();
                }
            } finally {
                lock.unlock();
            }
        }
    }

    private static final class Waiter {
        private final Ticket ticket;
        private final RetryPlan.Avoid avoid;
        private final Condition turnCame;
        private @Nullable Place place;
        private final long sinceNanos = System.nanoTime();
        private boolean hadSlot;
        /** When it looks again by itself whether it has to be set aside. */
        private long wakesNanos = Long.MAX_VALUE;
        /** When its wait is over whatever happens. */
        private long endsNanos = Long.MAX_VALUE;

        Waiter(Ticket ticket, RetryPlan.Avoid avoid, Condition turnCame) {
            this.ticket = ticket;
            this.avoid = avoid;
            this.turnCame = turnCame;
        }

        /** A copy whose time is over before it could come back stays: as a further copy it would come again at once. */
        private boolean staysToItsEnd() {
            return ticket.isCopy
                    && endsNanos - System.nanoTime() <= Delay.SHORT.length().toNanos();
        }

        /** How long it may still wait for a full node without making room for others. */
        private long patienceNanos() {
            Duration patience = ticket.isCopy ? PATIENCE_OF_COPIES : PATIENCE;
            return patience.toNanos() - (System.nanoTime() - sinceNanos);
        }
    }

    private void wake(Waiter waiter) {
        lock.lock();
        try {
            waiter.turnCame.signal();
        } finally {
            lock.unlock();
        }
    }

    private void join(Waiter waiter) {
        waiters.add(waiter);
        waitingByWish.merge(waiter.ticket.wish, 1, Integer::sum);
        waitersWithSlot += waiter.ticket.hasSlot ? 1 : 0;
        waiter.hadSlot = waiter.ticket.hasSlot;
    }

    private void leave(Waiter waiter) {
        if (waiters.remove(waiter)) {
            waitingByWish.computeIfPresent(waiter.ticket.wish, (_, count) -> count == 1 ? null : count - 1);
            waitersWithSlot -= waiter.hadSlot ? 1 : 0;
        }
    }

    /** How long the job may still keep its place; all its nodes are down, and others are not. */
    private long parkedNanos(Waiter waiter) {
        Router.Route route = routes.of(waiter.ticket.wish);
        if (route instanceof Router.Route.Nowhere || waiter.staysToItsEnd()) {
            return FAR.toNanos();
        }
        Instant since = Instant.MIN;
        for (List<Router.Candidate> pool : Routes.candidates(route)) {
            for (Router.Candidate candidate : pool) {
                Node.Health health =
                        nodes.find(candidate.node()).map(Node::health).orElse(null);
                if (health != null && health.state() != Node.State.DOWN) {
                    return FAR.toNanos();
                } else if (health != null && health.since().isAfter(since)) {
                    since = health.since();
                }
            }
        }
        if (!nodes.anyUp()) {
            return FAR.toNanos();
        }
        // a node that was never up is not known to have the model, so that there may be none at all
        return since.isAfter(Instant.MIN)
                ? Duration.between(clock.instant(), since.plus(park)).toNanos()
                : park.toNanos() - (System.nanoTime() - waiter.sinceNanos);
    }

    private void changed() {
        lock.lock();
        try {
            boolean moved = routes.version() != nodes.version();
            serve();
            if (moved) {
                wakeThoseInVain();
            }
        } finally {
            lock.unlock();
        }
    }

    /** Those whose nodes have gone down may keep their places for less long than they know. */
    private void wakeThoseInVain() {
        for (Waiter waiter : waiters) {
            long parked = parkedNanos(waiter);
            if (System.nanoTime() + parked - waiter.wakesNanos < -SOON.toNanos()) {
                waiter.turnCame.signal();
            }
        }
    }

    /** How often a job that waits was woken, or woke by itself. */
    long wakeUps() {
        lock.lock();
        try {
            return wakeUps;
        } finally {
            lock.unlock();
        }
    }

    private int waiting(Priority priority) {
        lock.lock();
        try {
            return (int) waiters.stream()
                    .filter(waiter -> waiter.ticket.job.priority() == priority)
                    .count();
        } finally {
            lock.unlock();
        }
    }

    /** How many jobs wait here that may go to this node. */
    public int waitingFor(String node) {
        lock.lock();
        try {
            return (int) waiters.stream()
                    .flatMap(waiter -> Routes.candidates(routes.of(waiter.ticket.wish)).stream())
                    .flatMap(List::stream)
                    .filter(candidate -> candidate.node().equals(node))
                    .count();
        } finally {
            lock.unlock();
        }
    }

    /** Gives every free slot to the first in the line that can use it. */
    private void serve() {
        Set<Wish> full = new HashSet<>();
        if (lowCredit >= 1 && freeSlots > 0) {
            for (Waiter waiter : waiters.stream().filter(Line::isLow).toList()) {
                if (lowCredit < 1) {
                    break;
                }
                serve(waiter, full);
            }
        }
        for (Waiter waiter : List.copyOf(waiters)) {
            if ((freeSlots <= 0 && waitersWithSlot == 0) || full.size() == waitingByWish.size()) {
                break;
            }
            serve(waiter, full);
        }
        if (freeSlots > 0) {
            relieveTopics();
            relieve(full);
        }
    }

    /** @param full the wishes that no node can fulfil now */
    private void serve(Waiter waiter, Set<Wish> full) {
        Ticket ticket = waiter.ticket;
        boolean mayGo = ticket.hasSlot || (freeSlots > 0 && slotsLeft.getOrDefault(ticket.topic, slots) > 0);
        if (!mayGo || full.contains(ticket.wish)) {
            return;
        }
        Place place = place(waiter);
        if (place == null) {
            if (waiter.avoid.isEmpty()) {
                full.add(ticket.wish);
            }
            return;
        }
        leave(waiter);
        if (place instanceof Place.Taken) {
            if (starts.size() > MANY_WISHES) {
                List.copyOf(starts.keySet()).forEach(this::recentStarts);
            }
            recentStarts(ticket.wish);
            starts.computeIfAbsent(ticket.wish, _ -> new ArrayDeque<>()).addLast(System.nanoTime());
        }
        if (place instanceof Place.Taken && !ticket.hasSlot) {
            ticket.hasSlot = true;
            freeSlots--;
            slotsLeft.computeIfPresent(ticket.topic, (_, left) -> left - 1);
            if (isLow(waiter)) {
                lowCredit = Math.max(0, lowCredit - 1);
            } else if (!waiters.isEmpty() && isLow(waiters.last())) {
                lowCredit = Math.min(1, lowCredit + lowShare / (1 - Math.min(lowShare, 0.99)));
            }
        }
        waiter.place = place;
        waiter.turnCame.signal();
    }

    private static boolean isLow(Waiter waiter) {
        return waiter.ticket.job.priority() == Priority.LOW;
    }

    /**
     * Nobody else in the line can go. Where a node is idle all the same, and more wait for full ones than it takes to keep
     * them busy, the last of those that have waited for a while make room.
     */
    private void relieve(Set<Wish> full) {
        Wish fullest = full.stream().max(Comparator.comparingInt(this::tooMany)).orElse(null);
        int tooMany = fullest == null || !anyIdle() ? 0 : tooMany(fullest);
        if (tooMany > 0) {
            setAsideLast(waiter -> waiter.ticket.wish.equals(fullest), tooMany);
        }
    }

    private int tooMany(Wish wish) {
        int kept = crowded.getAsBoolean() ? 1 : Math.max(1, slots / PARKED_SHARE);
        return waitingByWish.getOrDefault(wish, 0) - Math.max(kept, recentStarts(wish));
    }

    /** Copies of all topics share one intake: those of a topic that has all its slots let others through. */
    private void relieveTopics() {
        slotsLeft.forEach((topic, left) -> {
            if (left <= 0) {
                setAsideLast(waiter -> waiter.ticket.isCopy && waiter.ticket.topic.equals(topic), Integer.MAX_VALUE);
            }
        });
    }

    private void setAsideLast(Predicate<Waiter> which, int atMost) {
        List<Waiter> last = waiters.descendingSet().stream()
                .filter(waiter -> which.test(waiter) && !waiter.ticket.hasSlot && waiter.patienceNanos() <= 0)
                .limit(atMost)
                .toList();
        for (Waiter waiter : last) {
            leave(waiter);
            waiter.place = new Place.Blocked(false);
            waiter.turnCame.signal();
        }
    }

    boolean isOpen() {
        return nodes.anyUp();
    }

    private int recentStarts(Wish wish) {
        ArrayDeque<Long> ofWish = starts.get(wish);
        if (ofWish == null) {
            return 0;
        }
        long oldest = System.nanoTime() - KEPT_FOR.toNanos();
        while (!ofWish.isEmpty() && ofWish.getFirst() - oldest < 0) {
            ofWish.removeFirst();
        }
        if (ofWish.isEmpty()) {
            starts.remove(wish);
        }
        return ofWish.size();
    }

    private boolean anyIdle() {
        return nodes.all().stream().anyMatch(Node::hasRoom);
    }

    private @Nullable Place place(Waiter waiter) {
        return switch (routes.of(waiter.ticket.wish)) {
            case Router.Route.Nowhere(JobFailure failure) -> new Place.Nowhere(failure);
            case Router.Route.AfterFetch(List<Router.Candidate> candidates) -> {
                candidates.stream()
                        .filter(candidate -> nodes.isUp(candidate.node()))
                        .findFirst()
                        .ifPresent(candidate -> nodes.fetchMissing(candidate.node(), candidate.model()));
                yield null;
            }
            case Router.Route.To(List<List<Router.Candidate>> pools) -> {
                Place.Taken taken = null;
                for (List<Router.Candidate> pool : pools) {
                    taken = taken == null ? leastLoaded(pool, waiter.avoid::isFresh) : taken;
                }
                Instant now = clock.instant();
                for (List<Router.Candidate> pool : pools) {
                    taken = taken == null ? leastLoaded(pool, node -> waiter.avoid.isAgain(node, now)) : taken;
                }
                yield taken;
            }
        };
    }

    private Place.@Nullable Taken leastLoaded(List<Router.Candidate> pool, Predicate<String> allowed) {
        Node best = null;
        String model = "";
        double least = Double.MAX_VALUE;
        for (Router.Candidate candidate : pool) {
            Node node = allowed.test(candidate.node())
                    ? nodes.find(candidate.node()).orElse(null)
                    : null;
            if (node != null && node.hasRoom()) {
                double load = (double) node.inFlight() / node.limitNow();
                if (load < least) {
                    best = node;
                    model = candidate.model();
                    least = load;
                }
            }
        }
        Node.Slot slot = best == null ? null : best.tryAcquire();
        return slot == null ? null : new Place.Taken(slot, model);
    }
}
