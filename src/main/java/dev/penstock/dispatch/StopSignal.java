package dev.penstock.dispatch;

import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * Tells a run to stop, wherever it waits. The first reason counts, but for a cancellation: what it still has to say is said only
 * while the record is this replica's. Thread-safe.
 */
final class StopSignal {
    private final CountDownLatch given = new CountDownLatch(1);
    private final CompletableFuture<@Nullable Void> whenGiven = new CompletableFuture<>();
    private final CountDownLatch over = new CountDownLatch(1);
    private volatile @Nullable Reason reason;
    private volatile @Nullable Runnable waker;

    enum Reason {
        /** Somebody cancelled the job. */
        CANCELLED,
        /** Somebody else may run the job now. */
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

    /** Done once it is given. */
    CompletableFuture<@Nullable Void> whenGiven() {
        return whenGiven;
    }

    /** null: go on. */
    @Nullable
    Reason reason() {
        return reason;
    }

    boolean isGiven() {
        return reason != null;
    }

    /** Whether nothing more is to be said: the record is lost, or this replica ends. */
    boolean isOver() {
        return reason != null && reason != Reason.CANCELLED;
    }

    /** Waits, and less long where the signal is given meanwhile; what is cancelled already still waits before it tries again. */
    void pause(Duration wait) throws InterruptedException {
        var _ = (reason == Reason.CANCELLED ? over : given).await(wait.toNanos(), TimeUnit.NANOSECONDS);
    }
}
