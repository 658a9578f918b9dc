package dev.penstock.dispatch;

import dev.penstock.job.JobFailure;
import java.time.Instant;
import org.jspecify.annotations.Nullable;

/**
 * A job's record in flight. It belongs to this replica until the replica acknowledges it, gives it back or loses it.
 */
public interface Delivery {
    /** Returns whether an earlier run of the record is possible, by this replica or by a replica that crashed. */
    boolean mayHaveRun();

    /**
     * Returns the same as {@link #mayHaveRun}, but first waits for the broker's answer. A run that seemed to be the
     * first one calls this before it ends.
     */
    boolean mayHaveRunAfterAll() throws InterruptedException;

    /**
     * Returns whether the broker may drop the record instead of delivering it again. If so, the job is deferred at once
     * and does not run.
     */
    boolean isLastDelivery();

    /**
     * Returns the last attempt of the last run that ended without a crash; 0 if there is none. Runs up to that attempt
     * do not count as crashed.
     */
    int handedBack();

    /** Returns how many of the job's attempts had failed at a node when the job was last deferred. */
    int failures();

    /** Returns how many runs of the job ended by an unexpected exception before they sent {@code started}. */
    int brokenRuns();

    /** Returns when the job was first deferred; null if it never was. */
    @Nullable
    Instant deferredSince();

    /** Returns whether another consumer may own the record now. Sends no request to find out. */
    boolean isGone();

    /**
     * Renews the lock now.
     *
     * @return false if the lock is lost; then another replica may run the job
     */
    boolean renew() throws InterruptedException;

    /** Acknowledges the record. The broker must already have a valid outcome of the job. */
    void acknowledge();

    /**
     * Acknowledges the record of a run that published its outcome and did not look the job up. If another consumer can
     * have had the record since {@link #mayHaveRunAfterAll} answered, the record is delivered again instead: the
     * outcome of this run may be void.
     */
    void acknowledgeOnlyRun();

    /**
     * Writes a deferred record, then acknowledges this record. If the broker does not take the deferred record, it
     * delivers this record again.
     *
     * @param handedBack the job's last attempt if this run made an attempt; otherwise the value from before the run
     * @param failures the number of the job's attempts that failed at a node
     */
    void defer(Deferral deferral, int handedBack, int failures) throws InterruptedException;

    /**
     * Defers the job like {@link #defer}, after an unexpected exception ended its run before {@code started} was sent.
     * The deferred record counts the run.
     */
    void deferBroken(Deferral deferral) throws InterruptedException;

    /**
     * Gives the job to another replica at once, because this replica stops.
     *
     * @param lastAttempt the last attempt of this run; 0 if it made none
     */
    void handBack(int lastAttempt) throws InterruptedException;

    /**
     * Writes a copy of the record to the dead-letter topic.
     *
     * @return false if the broker did not take the copy
     */
    boolean deadLetter(JobFailure failure, int attempts) throws InterruptedException;
}
