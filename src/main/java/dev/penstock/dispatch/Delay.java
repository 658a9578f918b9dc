package dev.penstock.dispatch;

import java.time.Duration;

/** How long a job is set aside; each is a partition of the topic of jobs that are set aside, in this order. */
public enum Delay {
    NONE(0, Duration.ZERO),
    SHORT(1, Duration.ofSeconds(5)),
    MEDIUM(2, Duration.ofMinutes(1)),
    LONG(3, Duration.ofMinutes(10));

    private final int partition;
    private final Duration length;

    Delay(int partition, Duration length) {
        this.partition = partition;
        this.length = length;
    }

    public int partition() {
        return partition;
    }

    public Duration length() {
        return length;
    }
}
