package dev.penstock.schedule.time;

import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.BiConsumer;
import java.util.function.LongConsumer;

/**
 * The timer for the next decision that becomes due without an event. It never runs later than asked for, and may run
 * earlier. Not thread-safe: the scheduler's lock guards it, but the task runs without the lock.
 */
public final class NextLook {
    /** The longest time of a timer. It is short because a timer cannot be cancelled. */
    private static final Duration AT_MOST = Duration.ofSeconds(10);

    private static final long NEVER = Long.MAX_VALUE;

    /** Runs a task after a delay. The task sets the next timer even if it fails. */
    private final BiConsumer<Duration, Runnable> timer;

    private long at = NEVER;

    public NextLook(BiConsumer<Duration, Runnable> timer) {
        this.timer = timer;
    }

    /** Runs a task after a delay, on a virtual thread of its own. */
    public static void later(Duration delay, Runnable task) {
        CompletableFuture.delayedExecutor(
                        delay.toNanos(),
                        TimeUnit.NANOSECONDS,
                        Thread.ofVirtual().name("penstock-scheduler")::start)
                .execute(task);
    }

    /**
     * Sets a timer if none ends before that time.
     *
     * @param next the time in nanoseconds of the scheduler's clock; {@code Long.MAX_VALUE} for no timer
     * @param passed receives the timer's time, for {@link #passed}
     */
    public void set(long next, long now, LongConsumer passed) {
        long end = Math.min(next, now + AT_MOST.toNanos());
        if (next != NEVER && end < at) {
            at = end;
            timer.accept(Duration.ofNanos(Math.max(0, end - now)), () -> passed.accept(end));
        }
    }

    /** Notes that a timer has ended. */
    public void passed(long end) {
        at = at == end ? NEVER : at;
    }
}
