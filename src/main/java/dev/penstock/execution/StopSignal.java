package dev.penstock.execution;

import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * Stops a run, wherever it waits. The first reason counts, except that each other reason replaces a cancellation: the
 * run publishes {@code cancelled} only while the job belongs to it. Thread-safe.
 */
public final class StopSignal {
    private final CountDownLatch given = new CountDownLatch(1);
    private final CompletableFuture<@Nullable Void> whenGiven = new CompletableFuture<>();
    private final CountDownLatch over = new CountDownLatch(1);
    private volatile @Nullable Reason reason;
    private volatile @Nullable Runnable waker;

    /** Why a run stops. */
    public enum Reason {
        /** A client cancelled the job. */
        CANCELLED,
        /** Another replica may run the job now. */
        LOCK_LOST,
        /** This replica ends. */
        SHUTDOWN
    }

    /** Sets how the signal wakes an interruptible wait, while the returned handle is open. */
    public Waking wakeBy(Runnable newWaker) {
        waker = newWaker;
        if (reason != null) {
            newWaker.run();
        }
        return () -> waker = null;
    }

    /** Closing it ends the waking. */
    public interface Waking extends AutoCloseable {
        @Override
        void close();
    }

    /** Gives the signal. */
    public void stop(Reason why) {
        synchronized (this) {
            if (reason != null && (reason != Reason.CANCELLED || why == Reason.CANCELLED)) {
                return;
            }
            reason = why;
        }
        given.countDown();
        whenGiven.complete(null);
        if (why != Reason.CANCELLED) {
            over.countDown();
        }
        Runnable waiting = waker;
        if (waiting != null) {
            waiting.run();
        }
    }

    /** Returns a future that is done when the signal is given. */
    CompletableFuture<@Nullable Void> whenGiven() {
        return whenGiven;
    }

    /** Returns the reason; null if the run continues. */
    public @Nullable Reason reason() {
        return reason;
    }

    /** Returns whether the run stops. */
    public boolean isGiven() {
        return reason != null;
    }

    /** Returns whether the run publishes nothing more: the record is lost, or this replica ends. */
    public boolean isOver() {
        return reason != null && reason != Reason.CANCELLED;
    }

    /** Waits, and less long if the signal is given meanwhile. A cancelled run waits until the run is over. */
    public void pause(Duration wait) throws InterruptedException {
        var _ = (reason == Reason.CANCELLED ? over : given).await(wait.toNanos(), TimeUnit.NANOSECONDS);
    }
}
