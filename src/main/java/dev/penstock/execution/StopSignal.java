package dev.penstock.execution;

import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * Stops a run, even while it waits. The first reason counts, but any other reason replaces a cancellation, because the
 * run may publish {@code cancelled} only while the job belongs to it. Thread-safe.
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
        /** This replica stops. */
        SHUTDOWN
    }

    /** Sets the action with which the signal wakes a waiting run. It applies while the returned handle is open. */
    public Waking wakeBy(Runnable newWaker) {
        waker = newWaker;
        if (reason != null) {
            newWaker.run();
        }
        return () -> waker = null;
    }

    /** The handle of such an action. Closing it removes the action. */
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

    /** Returns a future that completes when the signal is given. */
    CompletableFuture<@Nullable Void> whenGiven() {
        return whenGiven;
    }

    /** Returns the reason; null if the run continues. */
    public @Nullable Reason reason() {
        return reason;
    }

    /** Returns whether the run must stop. */
    public boolean isGiven() {
        return reason != null;
    }

    /** Returns whether the run must publish nothing more, because its record is lost or this replica stops. */
    public boolean isOver() {
        return reason != null && reason != Reason.CANCELLED;
    }

    /**
     * Waits for a time, or until the signal is given. If the run is cancelled already, the wait ends early only when
     * {@link #isOver} becomes true.
     */
    public void pause(Duration wait) throws InterruptedException {
        var _ = (reason == Reason.CANCELLED ? over : given).await(wait.toNanos(), TimeUnit.NANOSECONDS);
    }
}
