package dev.penstock.kafka.share.lane;

import org.apache.kafka.clients.consumer.ConsumerRecord;

/**
 * A record in flight: this process holds its lock, and renews it until {@link Subscription#finish} or {@link
 * Receiver#lost}. A null value with a positive {@code serializedValueSize} is a value that was not kept, because it is
 * too large.
 */
public final class TakenRecord {
    private final ConsumerRecord<byte[], byte[]> record;
    private volatile int deliveries;
    private volatile boolean doubted;

    /** The time until which the lock holds for sure, counted from when its request left. Only the client's thread. */
    private long lockedUntil;

    /** Only the client's thread. */
    private Renewal renewal = Renewal.NONE;

    private enum Renewal {
        /** No run waits for a renewal. */
        NONE,
        /** A run waits for a renewal that leaves from now on. */
        WANTED,
        /** That renewal has left. */
        SENT
    }

    public TakenRecord(ConsumerRecord<byte[], byte[]> record, int deliveries, long lockedUntil) {
        this.record = record;
        this.deliveries = deliveries;
        this.lockedUntil = lockedUntil;
    }

    public ConsumerRecord<byte[], byte[]> record() {
        return record;
    }

    /** Returns how often the broker has delivered the record, this delivery included. Adopting it raises the count. */
    public int deliveries() {
        return deliveries;
    }

    /**
     * Returns whether another consumer may have had the record since this process took it: its session ended, its
     * partition moved, the broker refused to renew its lock, or the record came again.
     */
    public boolean wasInDoubt() {
        return doubted;
    }

    int partition() {
        return record.partition();
    }

    long offset() {
        return record.offset();
    }

    long lockedUntil() {
        return lockedUntil;
    }

    /** The broker has confirmed the lock. */
    void locked(long until) {
        lockedUntil = until;
        renewal = renewal == Renewal.SENT ? Renewal.NONE : renewal;
    }

    /** The lock may be gone. */
    void doubt() {
        doubted = true;
    }

    /** A run needs an answer of the broker to a renewal that leaves after this call. */
    void wantRenewal() {
        renewal = Renewal.WANTED;
    }

    boolean isRenewalWanted() {
        return renewal == Renewal.WANTED;
    }

    /** Returns whether the broker has answered the renewal that a run wanted last. */
    boolean isRenewed() {
        return renewal == Renewal.NONE;
    }

    /** A renewal leaves now. */
    void renewalLeaves() {
        renewal = renewal == Renewal.WANTED ? Renewal.SENT : renewal;
    }

    void delivered(int count) {
        deliveries = count;
    }

    @Override
    public String toString() {
        return "%s-%d@%d".formatted(record.topic(), record.partition(), record.offset());
    }
}
