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

    /** The longest that is over within this time; {@link #NONE} where none is. */
    static Delay within(Delay wanted, Duration left) {
        Delay fitting = NONE;
        for (Delay delay : values()) {
            if (delay.length.compareTo(left) < 0 && delay.length.compareTo(wanted.length) <= 0) {
                fitting = delay;
            }
        }
        return fitting;
    }

    public int partition() {
        return partition;
    }

    public Duration length() {
        return length;
    }
}
