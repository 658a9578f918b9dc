package dev.penstock.dispatch;

import dev.penstock.job.JobFailure;
import dev.penstock.job.Priority;
import dev.penstock.job.PromptJob;
import dev.penstock.node.Node;
import dev.penstock.node.Nodes;
import dev.penstock.node.WireProtocol;
import dev.penstock.route.Router;
import dev.penstock.settings.Settings;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import jakarta.inject.Singleton;
import java.time.Duration;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * Where jobs wait: by priority, then by turn, for one of this replica's slots and a node with a free slot, both at once,
 * so that a job whose nodes are full holds up nobody else.
 */
@Singleton
public final class Line {
    private final Nodes nodes;
    private final Router router;

    private final ReentrantLock lock = new ReentrantLock();
    /* All below are guarded by the lock. */
    private final TreeSet<Waiter> waiters =
            new TreeSet<>(Comparator.comparing((Waiter waiter) -> waiter.ticket.job.priority())
                    .thenComparingLong(waiter -> waiter.turn));
    private final Map<Wish, Router.Route> routes = new HashMap<>();
    private List<Router.NodeView> views = List.of();
    private long viewsVersion = -1;
    private int freeSlots;
    private long nextTurn;

    public Line(Settings settings, Nodes nodes, MeterRegistry meters) {
        this.nodes = nodes;
        router = new Router(settings.profiles(), settings.defaultProfile());
        freeSlots = settings.intake().slots();
        nodes.onChange(this::changed);
        for (Priority priority : Priority.values()) {
            Gauge.builder("penstock.jobs.waiting", this, line -> line.waiting(priority))
                    .tag("priority", priority.wireName())
                    .register(meters);
        }
    }

    /** How a wait in the line ended. */
    sealed interface Place {
        /** The job may go to this node. */
        record Taken(Node.Slot slot, String model) implements Place {}

        /** Nothing here can ever serve it. */
        record Nowhere(JobFailure failure) implements Place {}

        /** The signal was given. */
        record Stopped() implements Place {}

        /** The time ran out. */
        record TooLate() implements Place {}
    }

    /** What decides where a job may go: jobs of one wish find the same nodes. */
    private record Wish(@Nullable String model, PromptJob.Pins pins) {}

    /** A job's place in the line over all its attempts; it holds one of the replica's slots from its first node on. */
    final class Ticket implements AutoCloseable {
        private final PromptJob job;
        private final Wish wish;
        private boolean hasSlot;

        Ticket(PromptJob job) {
            this.job = job;
            wish = new Wish(job.model(), job.pins());
        }

        /**
         * Waits for a node.
         *
         * @param avoid nodes that are of no use to the job
         */
        Place await(Set<String> avoid, StopSignal signal, Duration atMost) throws InterruptedException {
            if (signal.isGiven()) {
                return new Place.Stopped();
            }
            if (!atMost.isPositive()) {
                return new Place.TooLate();
            }
            lock.lockInterruptibly();
            Waiter waiter = new Waiter(this, Set.copyOf(avoid), nextTurn++, lock.newCondition());
            try {
                waiters.add(waiter);
                serve();
                long left = atMost.toNanos();
                try (var _ = signal.wakeBy(() -> wake(waiter))) {
                    while (waiter.place == null && !signal.isGiven() && left > 0) {
                        left = waiter.turnCame.awaitNanos(left);
                    }
                }
                Place place = waiter.place;
                return place != null ? place : signal.isGiven() ? new Place.Stopped() : new Place.TooLate();
            } finally {
                waiters.remove(waiter);
                lock.unlock();
            }
        }

        /** Whether another node than these may serve the job, and is up. */
        boolean hasOther(Set<String> failed) {
            lock.lock();
            try {
                return route(wish) instanceof Router.Route.To(List<List<Router.Candidate>> pools)
                        && pools.stream()
                                .flatMap(List::stream)
                                .filter(candidate -> !failed.contains(candidate.node()))
                                .anyMatch(candidate -> nodes.find(candidate.node())
                                        .filter(node -> node.health().state() == Node.State.UP)
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
                    serve();
                }
            } finally {
                lock.unlock();
            }
        }
    }

    private static final class Waiter {
        private final Ticket ticket;
        private final Set<String> avoid;
        private final long turn;
        private final Condition turnCame;
        private @Nullable Place place;

        Waiter(Ticket ticket, Set<String> avoid, long turn, Condition turnCame) {
            this.ticket = ticket;
            this.avoid = avoid;
            this.turn = turn;
            this.turnCame = turnCame;
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

    private void changed() {
        lock.lock();
        try {
            serve();
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
                    .filter(waiter -> route(waiter.ticket.wish)
                                    instanceof Router.Route.To(List<List<Router.Candidate>> pools)
                            && pools.stream()
                                    .flatMap(List::stream)
                                    .anyMatch(candidate -> candidate.node().equals(node)))
                    .count();
        } finally {
            lock.unlock();
        }
    }

    /** Gives every free slot to the first in the line that can use it. */
    private void serve() {
        if (waiters.isEmpty()) {
            return;
        }
        Set<Wish> full = new HashSet<>();
        Iterator<Waiter> inOrder = waiters.iterator();
        while (inOrder.hasNext()) {
            Waiter waiter = inOrder.next();
            boolean mayGo = waiter.ticket.hasSlot || freeSlots > 0;
            if (!mayGo || full.contains(waiter.ticket.wish)) {
                continue;
            }
            Place place = place(waiter);
            if (place == null) {
                if (waiter.avoid.isEmpty()) {
                    full.add(waiter.ticket.wish);
                }
                continue;
            }
            if (place instanceof Place.Taken && !waiter.ticket.hasSlot) {
                waiter.ticket.hasSlot = true;
                freeSlots--;
            }
            waiter.place = place;
            inOrder.remove();
            waiter.turnCame.signal();
        }
    }

    private @Nullable Place place(Waiter waiter) {
        return switch (route(waiter.ticket.wish)) {
            case Router.Route.Nowhere(JobFailure failure) -> new Place.Nowhere(failure);
            case Router.Route.To(List<List<Router.Candidate>> pools) -> {
                Place.Taken taken = null;
                for (List<Router.Candidate> pool : pools) {
                    taken = taken == null ? leastLoaded(pool, waiter.avoid) : taken;
                }
                yield taken;
            }
        };
    }

    private Place.@Nullable Taken leastLoaded(List<Router.Candidate> pool, Set<String> avoid) {
        Node best = null;
        String model = "";
        double least = Double.MAX_VALUE;
        for (Router.Candidate candidate : pool) {
            Node node = avoid.contains(candidate.node())
                    ? null
                    : nodes.find(candidate.node()).orElse(null);
            if (node != null && node.health().state() == Node.State.UP && node.inFlight() < node.limit()) {
                double load = (double) node.inFlight() / node.limit();
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

    private Router.Route route(Wish wish) {
        if (viewsVersion != nodes.version()) {
            viewsVersion = nodes.version();
            views = nodes.all().stream().map(Line::view).toList();
            routes.clear();
        }
        return routes.computeIfAbsent(wish, asked -> router.find(asked.model(), asked.pins(), views));
    }

    private static Router.NodeView view(Node node) {
        List<String> models = node.health().models().stream()
                .sorted(Comparator.comparing(model -> !model.loaded()))
                .map(WireProtocol.Model::id)
                .toList();
        return new Router.NodeView(
                node.name(),
                node.settings().backend(),
                node.settings().pool(),
                models,
                node.health().known(),
                node.settings().model());
    }
}
