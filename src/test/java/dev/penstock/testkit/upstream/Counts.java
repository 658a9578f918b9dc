package dev.penstock.testkit.upstream;

import java.time.Clock;
import java.time.Duration;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Function;
import java.util.function.Predicate;

/**
 * Counts requests. The event loop writes the counts, and test threads read and await them. The lock guards
 * everything.
 */
final class Counts {
    private final Clock clock;
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition changed = lock.newCondition();

    private final Map<String, Long> perPath = new HashMap<>();
    private final LinkedHashMap<Long, Exchange> exchanges = new LinkedHashMap<>();
    private int keep = 10_000;
    private int epoch;
    private long nextId;
    private long connections;
    private long all;
    private long requests;
    private int inFlight;
    private int maxInFlight;
    private long finished;
    private long cancelled;
    private long dropped;
    private long tokens;

    Counts(Clock clock) {
        this.clock = clock;
    }

    /** A counted request, which must report its end. */
    record Ticket(UpstreamRequest request, long id, int epoch, boolean generating) {}

    void connected() {
        lock.lock();
        try {
            connections++;
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    /** @param request gets its sequence number */
    Ticket started(String path, boolean generating, Function<Long, UpstreamRequest> request) {
        lock.lock();
        try {
            all++;
            perPath.merge(path, 1L, Long::sum);
            if (generating) {
                requests++;
                inFlight++;
                maxInFlight = Math.max(maxInFlight, inFlight);
            }
            UpstreamRequest numbered = request.apply(generating ? requests : all - requests);
            Ticket ticket = new Ticket(numbered, nextId++, epoch, generating);
            if (generating && keep > 0) {
                exchanges.put(ticket.id(), Exchange.started(numbered, clock.instant()));
                forgetEldest();
            }
            changed.signalAll();
            return ticket;
        } finally {
            lock.unlock();
        }
    }

    /** @param soFar the tokens of this request so far */
    void sent(Ticket ticket, int more, int soFar) {
        lock.lock();
        try {
            if (ticket.epoch() == epoch) {
                tokens += more;
                exchanges.computeIfPresent(ticket.id(), (_, exchange) -> exchange.sent(soFar));
                changed.signalAll();
            }
        } finally {
            lock.unlock();
        }
    }

    void ended(Ticket ticket, Outcome outcome) {
        if (!ticket.generating()) {
            return;
        }
        lock.lock();
        try {
            inFlight--;
            if (ticket.epoch() == epoch) {
                switch (outcome) {
                    case FINISHED -> finished++;
                    case CANCELLED -> cancelled++;
                    case DROPPED -> dropped++;
                    case IN_FLIGHT -> throw new IllegalArgumentException("not ended");
                }
                exchanges.computeIfPresent(ticket.id(), (_, exchange) -> exchange.ended(outcome, clock.instant()));
            }
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    Stats stats() {
        lock.lock();
        try {
            return new Stats(
                    connections, all, perPath, requests, inFlight, maxInFlight, finished, cancelled, dropped, tokens);
        } finally {
            lock.unlock();
        }
    }

    List<Exchange> exchanges() {
        lock.lock();
        try {
            return List.copyOf(exchanges.values());
        } finally {
            lock.unlock();
        }
    }

    void keep(int atMost) {
        lock.lock();
        try {
            keep = atMost;
            forgetEldest();
        } finally {
            lock.unlock();
        }
    }

    /** Resets the counts. Requests in flight stay in flight, and no other count includes them. */
    void reset() {
        lock.lock();
        try {
            epoch++;
            perPath.clear();
            exchanges.clear();
            connections = all = requests = finished = cancelled = dropped = tokens = 0;
            maxInFlight = inFlight;
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    Stats await(Predicate<Stats> condition, String what, Duration patience) throws InterruptedException {
        lock.lock();
        try {
            long left = patience.toNanos();
            Stats stats = stats();
            while (!condition.test(stats)) {
                if (left <= 0) {
                    throw new AssertionError("waited " + patience + " for " + what + ", but: " + stats);
                }
                left = changed.awaitNanos(left);
                stats = stats();
            }
            return stats;
        } finally {
            lock.unlock();
        }
    }

    private void forgetEldest() {
        var eldest = exchanges.keySet().iterator();
        while (exchanges.size() > keep) {
            eldest.next();
            eldest.remove();
        }
    }
}
