package dev.penstock.dispatch;

import dev.penstock.job.JobFailure;
import java.time.Instant;
import org.jspecify.annotations.Nullable;

/** A job's record in flight: it belongs to this replica until it is acknowledged, given back or lost. */
public interface Delivery {
    /** Whether the record may have been run before: by a replica that died, or by this one. */
    boolean mayHaveRun();

    /**
     * Asked before the end of what looked like a first run: whether an earlier run is possible. Waits for the broker's
     * answer.
     */
    boolean mayHaveRunAfterAll() throws InterruptedException;

    /** Whether the broker does not deliver the record again after this: it has to be deferred at once, and not run. */
    boolean isLastDelivery();

    /** The last attempt when a live replica last handed the job back; no run crashed in or before that attempt. */
    int handedBack();

    /** How many of the job's attempts had failed at a node when it was last deferred. */
    int failures();

    /** How many runs of the job an unexpected exception ended before their {@code started} was sent. */
    int brokenRuns();

    /** When the job was first deferred; null: never. */
    @Nullable
    Instant deferredSince();

    /** Whether another consumer may own the record by now, as far as is known without a request. */
    boolean isGone();

    /**
     * Renews the lock now.
     *
     * @return false when it is lost: another replica may run the job
     */
    boolean renew() throws InterruptedException;

    /** Acknowledges the record: a valid outcome of its job is on the broker. */
    void acknowledge();

    /**
     * Writes a deferred record, then acknowledges this one. Where the broker does not take the deferred record, this
     * one comes again.
     *
     * @param handedBack the last attempt of the job, where its run here ends alive; else as it was
     * @param failures how many attempts have failed at a node
     */
    void defer(Deferral deferral, int handedBack, int failures) throws InterruptedException;

    /**
     * An unexpected exception ended a run before its {@code started} was sent: like {@link #defer}, and the deferred
     * record counts the run.
     */
    void deferBroken(Deferral deferral) throws InterruptedException;

    /**
     * This replica ends: another one gets the job at once.
     *
     * @param lastAttempt the last attempt of the job here; 0: it has not started here
     */
    void handBack(int lastAttempt) throws InterruptedException;

    /**
     * Writes the record to the dead letters.
     *
     * @return false where the broker did not take it
     */
    boolean deadLetter(JobFailure failure, int attempts) throws InterruptedException;
}
