package dev.penstock.app;

import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.BiConsumer;
import java.util.function.IntSupplier;

/**
 * Keeps the memory of an idle executable small. The executable's collector runs only when its young generation of about
 * 50 MB is full. Even an idle replica fills it, because its Kafka clients allocate 2 MB a second. So this object
 * collects the garbage while no job is in flight: 7 MB of live objects take some milliseconds. A replica that runs jobs
 * is left to the collector. docs/benchmarks.md has the figures.
 */
final class IdleMemory {
    private static final Duration PERIOD = Duration.ofSeconds(3);

    private final IntSupplier inFlight;
    private final Runnable collect;
    private final BiConsumer<Duration, Runnable> timer;
    /** Whether no job was in flight at the last look. Only the timer's thread uses it. */
    private boolean wasIdle;

    IdleMemory(IntSupplier inFlight) {
        this(inFlight, System::gc, IdleMemory::later);
    }

    /**
     * @param inFlight the number of jobs in flight
     * @param collect collects the garbage
     * @param timer runs a task after a delay
     */
    IdleMemory(IntSupplier inFlight, Runnable collect, BiConsumer<Duration, Runnable> timer) {
        this.inFlight = inFlight;
        this.collect = collect;
        this.timer = timer;
    }

    private static void later(Duration delay, Runnable task) {
        CompletableFuture.delayedExecutor(
                        delay.toNanos(),
                        TimeUnit.NANOSECONDS,
                        Thread.ofVirtual().name("penstock-idle-memory")::start)
                .execute(task);
    }

    void start() {
        timer.accept(PERIOD, this::look);
    }

    private void look() {
        boolean idle = inFlight.getAsInt() == 0;
        if (idle && wasIdle) {
            collect.run();
        }
        wasIdle = idle;
        start();
    }
}
