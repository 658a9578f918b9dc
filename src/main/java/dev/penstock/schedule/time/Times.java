package dev.penstock.schedule.time;

import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import java.util.function.LongSupplier;
import java.util.stream.Collectors;

/**
 * The scheduler's clock.
 *
 * @param clock the wall clock, with the times of jobs and nodes
 * @param nanos a clock in nanoseconds that starts at 0
 */
public record Times(Clock clock, LongSupplier nanos) {
    /** Returns a clock that starts now. */
    public static Times sinceNow(Clock clock) {
        long origin = System.nanoTime();
        return new Times(clock, () -> System.nanoTime() - origin);
    }

    public long now() {
        return nanos.getAsLong();
    }

    /** Returns a time of the wall clock as a time of the scheduler's clock. */
    public long of(Instant instant) {
        return now() + Duration.between(clock.instant(), instant).toNanos();
    }

    public Map<String, Long> of(Map<String, Instant> instants) {
        return instants.entrySet().stream().collect(Collectors.toMap(Map.Entry::getKey, each -> of(each.getValue())));
    }
}
