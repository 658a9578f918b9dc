package dev.penstock.node.media;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * Ends the waits of an attempt when its job is stopped, or when its time is over.
 *
 * @param stopped a future that is done when the job is stopped
 * @param deadlineNanos the end of the job's time, on the clock of {@link System#nanoTime}
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
     * @param patienceNanos the longest wait for this value; the end of the job's time may end it earlier
     * @throws TimeoutException if the longest wait has passed
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
            // the value itself failed, and the code below throws this failure
        }
        if (!wanted.isDone()) {
            throw new Over();
        }
        return wanted.get();
    }
}
