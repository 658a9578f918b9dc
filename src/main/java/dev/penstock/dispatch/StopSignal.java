package dev.penstock.dispatch;

import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * Stops a run, wherever it waits. The first reason counts, but a later one replaces a cancellation: the outcome
 * {@code cancelled} is published only while the record is this replica's. Thread-safe.
 */
final class StopSignal {
    private final CountDownLatch given = new CountDownLatch(1);
    private final CompletableFuture<@Nullable Void> whenGiven = new CompletableFuture<>();
    private final CountDownLatch over = new CountDownLatch(1);
    private volatile @Nullable Reason reason;
    private volatile @Nullable Runnable waker;

    enum Reason {
        /** A client cancelled the job. */
        CANCELLED,
        /** Another replica may run the job now. */
        LOCK_LOST,
        /** This replica ends. */
        SHUTDOWN
    }

    /** How an interruptible wait is woken, while the returned handle is open. */
    Waking wakeBy(Runnable newWaker) {
        waker = newWaker;
        if (reason != null) {
            newWaker.run();
        }
        return () -> waker = null;
    }

    /** Closing it ends the waking. */
    interface Waking extends AutoCloseable {
        @Override
        void close();
    }

    void stop(Reason why) {
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

    /** Completes once it is given. */
    CompletableFuture<@Nullable Void> whenGiven() {
        return whenGiven;
    }

    /** Null: go on. */
    @Nullable
    Reason reason() {
        return reason;
    }

    boolean isGiven() {
        return reason != null;
    }

    /** Whether the run must publish nothing more: the record is lost, or this replica ends. */
    boolean isOver() {
        return reason != null && reason != Reason.CANCELLED;
    }

    /**
     * Waits until the time is over or the signal is given. A run that was cancelled earlier waits the whole time before
     * it tries again.
     */
    void pause(Duration wait) throws InterruptedException {
        var _ = (reason == Reason.CANCELLED ? over : given).await(wait.toNanos(), TimeUnit.NANOSECONDS);
    }
}
