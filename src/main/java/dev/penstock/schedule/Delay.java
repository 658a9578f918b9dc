package dev.penstock.schedule;

import java.time.Duration;
import java.time.Instant;
import org.jspecify.annotations.Nullable;

/** How long a job is deferred. Each delay has its own partition of the topic of deferred jobs. */
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

    /**
     * Returns the delay for a deferral. It grows with the time since the job was first deferred. For full nodes, and for
     * a tenant at a limit, it is always short, because there may be room at any moment.
     *
     * @param since when the job was first deferred; null if it never was
     */
    public static Delay of(Admission.Cause cause, @Nullable Instant since, Instant now) {
        return switch (cause) {
            case NODES_FULL, TENANT_LIMIT -> SHORT;
            case NODES_DOWN, TOPIC_PAUSED ->
                since == null ? SHORT : since.plus(LONG.length).isBefore(now) ? LONG : MEDIUM;
        };
    }

    /**
     * Returns the longest delay that ends within the time left and is no longer than this one; {@link #NONE} if there
     * is none.
     */
    public Delay within(Duration left) {
        Delay fitting = NONE;
        for (Delay delay : values()) {
            if (delay.length.compareTo(left) < 0 && delay.length.compareTo(length) <= 0) {
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
