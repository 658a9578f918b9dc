package dev.penstock.dispatch;

/** What the intake holds of a job: its record, locked for this replica until it is acknowledged or lost. */
public interface Hold {
    /** Whether the record may have been run before: by a replica that died, or by this one. */
    boolean mayHaveRun();

    /**
     * Prolongs the lock now.
     *
     * @return false when it is lost: somebody else may run the job
     */
    boolean renew() throws InterruptedException;

    /** Acknowledges the record: a valid outcome of its job is on the broker. */
    void acknowledge();
}
