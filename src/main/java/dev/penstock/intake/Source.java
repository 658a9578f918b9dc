package dev.penstock.intake;

/** Where this replica takes jobs from. */
sealed interface Source permits TopicIntake, GroupIntake {
    void start();

    /** Takes no further records. */
    void stop();

    /** Leaves the group; what is still in hand goes to another replica. */
    void close();

    void awaitClosed() throws InterruptedException;
}
