package dev.penstock.reply;

import java.time.Duration;

/**
 * How long a webhook record waits before its next post. Each delay has its own partition of the topic, so the head of a
 * partition is always the next record to become due.
 */
public enum WebhookDelay {
    NONE(0, Duration.ZERO),
    SECONDS(1, Duration.ofSeconds(5)),
    HALF_A_MINUTE(2, Duration.ofSeconds(30)),
    MINUTES(3, Duration.ofMinutes(2)),
    TEN_MINUTES(4, Duration.ofMinutes(10)),
    HOUR(5, Duration.ofHours(1));

    private final int partition;
    private final Duration length;

    WebhookDelay(int partition, Duration length) {
        this.partition = partition;
        this.length = length;
    }

    /**
     * Returns the delay after failed posts. It grows with each failed post, up to an hour.
     *
     * @param failed the number of failed posts, at least 1
     */
    public static WebhookDelay after(int failed) {
        return values()[Math.min(failed, values().length - 1)];
    }

    public Duration length() {
        return length;
    }

    /**
     * Returns the partition of the delay.
     *
     * @param partitions the number of partitions of the topic; if it has too few, the longest delays share the last one
     */
    public int partition(int partitions) {
        return Math.min(partition, partitions - 1);
    }
}
