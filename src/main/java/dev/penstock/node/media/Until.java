package dev.penstock.node.media;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * The limit of an attempt's waits: its job is stopped, or its time is over.
 *
 * @param stopped completes when the job is stopped
 * @param deadlineNanos on the clock of {@link System#nanoTime}
 */
public record Until(CompletableFuture<?> stopped, long deadlineNanos) {

    /** The job was stopped, or its time is over. */
    public static final class Over extends Exception {
        private static final long serialVersionUID = 1L;

        Over() {
            super("the job was stopped, or its time is over");
        }
    }

    /**
     * Waits for a value.
     *
     * @param patienceNanos the longest wait, apart from the job's own time
     * @throws TimeoutException if that time has passed
     */
    <T> T await(CompletableFuture<T> wanted, long patienceNanos)
            throws Over, TimeoutException, ExecutionException, InterruptedException {
        long left = deadlineNanos - System.nanoTime();
        try {
            var _ = CompletableFuture.anyOf(wanted, stopped)
                    .get(Math.max(0, Math.min(left, patienceNanos)), TimeUnit.NANOSECONDS);
        } catch (TimeoutException e) {
            if (left <= patienceNanos) {
                throw new Over();
            }
            throw e;
        } catch (ExecutionException _) {
            // this is the value's own failure, and it is thrown below
        }
        if (!wanted.isDone()) {
            throw new Over();
        }
        return wanted.get();
    }
}
