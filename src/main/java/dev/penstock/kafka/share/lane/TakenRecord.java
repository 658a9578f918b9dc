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

    /** The time until which the lock holds for sure, counted from when its request left. Only the client's thread. */
    private long lockedUntil;

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

    int partition() {
        return record.partition();
    }

    long offset() {
        return record.offset();
    }

    long lockedUntil() {
        return lockedUntil;
    }

    void locked(long until) {
        lockedUntil = until;
    }

    void delivered(int count) {
        deliveries = count;
    }

    @Override
    public String toString() {
        return "%s-%d@%d".formatted(record.topic(), record.partition(), record.offset());
    }
}
