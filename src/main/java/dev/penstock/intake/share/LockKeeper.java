package dev.penstock.intake.share;

/** Keeps the locks of records in flight: a consumer's thread, or Penstock's own share client. */
sealed interface LockKeeper permits ShareConsumerLoop, ClientTopic {
    /** Takes a command; from the thread of a run. */
    void command(ShareDelivery.LockCommand command);

    /** Returns how often the broker has delivered a record by now; at least as often as at the start of its run. */
    default int deliveries(ShareDelivery delivery) {
        return delivery.deliveries();
    }

    /** Returns whether another consumer may have had the record since the start of its run, and this one has it again. */
    default boolean wasInDoubt(ShareDelivery delivery) {
        return false;
    }
}
