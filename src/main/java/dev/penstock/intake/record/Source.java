package dev.penstock.intake.record;

/** A source of jobs for this replica. */
public interface Source {
    void start();

    /** Takes no further records. */
    void stop();

    /** Leaves the group; records that are still in flight go to another replica. */
    void close();

    void awaitClosed() throws InterruptedException;
}
