package dev.penstock.intake;

/** A source of jobs for this replica. */
sealed interface Source permits TopicIntake, GroupIntake {
    void start();

    /** Takes no further records. */
    void stop();

    /** Leaves the group; records that are still in flight go to another replica. */
    void close();

    void awaitClosed() throws InterruptedException;
}
