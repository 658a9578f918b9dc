package dev.penstock.dispatch;

import dev.penstock.job.JobFailure;
import java.time.Instant;
import org.jspecify.annotations.Nullable;

/** What the intake holds of a job: its record, this replica's until it is acknowledged, given back or lost. */
public interface Delivery {
    /** Whether the record may have been run before: by a replica that died, or by this one. */
    boolean mayHaveRun();

    /**
     * Asked before the end of what looked like a first run: whether it may have been none. Waits until the broker has said
     * what there is to say about it.
     */
    boolean mayHaveRunAfterAll() throws InterruptedException;

    /** Whether the broker hands the record out no more after this: it has to be copied at once, and not run. */
    boolean isLastDelivery();

    /** The last attempt when the job was last handed back by a replica that lived; runs before it died of nothing. */
    int handedBack();

    /** How many of the job's attempts had failed at a node when it was last set aside. */
    int failures();

    /** How many runs of the job an unexpected exception ended before their {@code started} was sent. */
    int brokenRuns();

    /** When the job was first set aside; null: never. */
    @Nullable
    Instant deferredSince();

    /** Whether the record is left to somebody else by now, as far as is known without asking. */
    boolean isGone();

    /**
     * Prolongs the lock now.
     *
     * @return false when it is lost: somebody else may run the job
     */
    boolean renew() throws InterruptedException;

    /** Acknowledges the record: a valid outcome of its job is on the broker. */
    void acknowledge();

    /**
     * Puts a copy on the topic of jobs that are set aside, then acknowledges the record. Where the broker does not take the
     * copy, the record comes again.
     *
     * @param handedBack the last attempt of the job, where its run here ends alive; else as it was
     * @param failures how many attempts have failed at a node
     */
    void defer(Deferral deferral, int handedBack, int failures) throws InterruptedException;

    /** An unexpected exception ended a run before its {@code started} was sent: like {@link #defer}, and the copy counts it. */
    void deferBroken(Deferral deferral) throws InterruptedException;

    /**
     * This replica ends: another one gets the job at once.
     *
     * @param lastAttempt of the job here; 0: it has not started here
     */
    void handBack(int lastAttempt) throws InterruptedException;

    /**
     * Writes the record to the dead letters.
     *
     * @return false where the broker did not take it
     */
    boolean deadLetter(JobFailure failure, int attempts) throws InterruptedException;
}
