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
    /** The longest time from now, because nanoseconds in a long reach 292 years. */
    private static final Duration FAR = Duration.ofDays(36_500);

    /** Returns a clock that starts now. */
    public static Times sinceNow(Clock clock) {
        long origin = System.nanoTime();
        return new Times(clock, () -> System.nanoTime() - origin);
    }

    public long now() {
        return nanos.getAsLong();
    }

    /** Returns a time of the wall clock as a time of the scheduler's clock. A time over 100 years away counts as 100 years. */
    public long of(Instant instant) {
        Duration away = Duration.between(clock.instant(), instant);
        Duration near = away.compareTo(FAR) > 0 ? FAR : away.compareTo(FAR.negated()) < 0 ? FAR.negated() : away;
        return now() + near.toNanos();
    }

    public Map<String, Long> of(Map<String, Instant> instants) {
        return instants.entrySet().stream().collect(Collectors.toMap(Map.Entry::getKey, each -> of(each.getValue())));
    }
}
