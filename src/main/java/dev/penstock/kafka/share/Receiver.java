package dev.penstock.kafka.share;

import dev.penstock.kafka.share.lane.TakenRecord;

/** Takes the records of one topic. The client calls it on its only thread, so it returns at once. */
public interface Receiver {
    /** The record is in flight, until {@link Subscription#finish} or {@link #lost}. */
    void taken(TakenRecord record);

    /** The lock is gone: another consumer may own the record now. Its job should stop. */
    void lost(TakenRecord record, String why);

    /** The batch of the record is damaged. The broker does not deliver it again. */
    void damaged(int partition, long offset, String why);
}
