package dev.penstock.schedule;

import dev.penstock.node.Nodes;
import dev.penstock.schedule.time.Times;
import dev.penstock.settings.Settings;
import dev.penstock.testkit.PlayedClock;
import io.micrometer.core.instrument.MeterRegistry;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/** Time that passes only when a test says so. */
public final class PausedTime {
    private final AtomicLong nanos = new AtomicLong();
    private final TreeMap<Long, List<Runnable>> timers = new TreeMap<>();

    private final Clock clock = PlayedClock.of(() -> Instant.EPOCH.plusNanos(nanos.get()));

    /** Returns a clock that shows this time. */
    public Clock clock() {
        return clock;
    }

    /** Returns the nanoseconds that have passed. */
    public long nanos() {
        return nanos.get();
    }

    /** Returns a scheduler that lives in this time. */
    public Scheduler scheduler(Settings settings, Nodes nodes, MeterRegistry meters) {
        return new Scheduler(settings, nodes, new Times(clock, this::nanos), meters, () -> 0, this::later);
    }

    /** Runs a task when this time has passed. */
    public void later(Duration delay, Runnable task) {
        synchronized (timers) {
            timers.merge(nanos.get() + delay.toNanos(), List.of(task), (some, more) -> {
                List<Runnable> all = new ArrayList<>(some);
                all.addAll(more);
                return all;
            });
        }
    }

    /** Lets time pass. The timers of that time run one after the other. */
    public void pass(Duration time) {
        long end = nanos.get() + time.toNanos();
        Map.@Nullable Entry<Long, List<Runnable>> next;
        while ((next = next(end)) != null) {
            nanos.set(Math.max(nanos.get(), next.getKey()));
            next.getValue().forEach(Runnable::run);
        }
        nanos.set(end);
    }

    private Map.@Nullable Entry<Long, List<Runnable>> next(long end) {
        synchronized (timers) {
            return timers.isEmpty() || timers.firstKey() > end ? null : timers.pollFirstEntry();
        }
    }

    /** Returns the number of timers that are set. */
    int timers() {
        synchronized (timers) {
            return timers.values().stream().mapToInt(List::size).sum();
        }
    }
}
