package dev.penstock.app;

import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.BiConsumer;
import java.util.function.IntSupplier;
import org.graalvm.nativeimage.RuntimeOptions;

/**
 * Keeps the memory of an idle executable small. The executable's collector runs only when its young generation of about
 * 50 MB is full, and keeps that memory. Even an idle replica fills it, because its Kafka clients allocate 2 MB a second.
 * So this object collects the garbage while no job is in flight, and gives the memory back: 7 MB of live objects take
 * some milliseconds. A replica that runs jobs is left to the collector. docs/benchmarks.md has the figures.
 */
final class IdleMemory {
    private static final Duration PERIOD = Duration.ofSeconds(2);
    /** The collector's option for the free memory that it keeps, in bytes. With 0, the collector decides. */
    private static final String KEPT = "MaxHeapFree";

    private final IntSupplier inFlight;
    private final Runnable collect;
    private final BiConsumer<Duration, Runnable> timer;
    /** Whether no job was in flight at the last look. Only the timer's thread uses it. */
    private boolean wasIdle;

    IdleMemory(IntSupplier inFlight) {
        this(inFlight, IdleMemory::collect, IdleMemory::later);
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

    /** Only the executable has this option, of GraalVM 25. */
    private static void collect() {
        RuntimeOptions.set(KEPT, 1L << 20);
        System.gc();
        RuntimeOptions.set(KEPT, 0L);
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
