package dev.penstock.kafka.share.lane;

import java.time.Duration;

/**
 * How the client takes records.
 *
 * @param busyWait how long a fetch may wait at the broker while records are in flight; their acknowledgements wait as long
 * @param idleWait how long a fetch may wait at the broker while no record is in flight
 * @param linger how long acknowledgements collect while little room is free and the broker has more records
 * @param fetchBytes the limit of one answer; the broker exceeds it for a single batch
 * @param mostValue the largest value that is kept, in bytes
 * @param mostValues the limit of all values of one answer, in bytes; one value is always kept
 * @param metadataAge how often the partitions and leaders are read again
 */
public record ShareOptions(
        Duration busyWait,
        Duration idleWait,
        Duration linger,
        int fetchBytes,
        int mostValue,
        long mostValues,
        Duration metadataAge) {
    public ShareOptions {
        if (fetchBytes < 1 || mostValue < 1 || mostValues < 1) {
            throw new IllegalArgumentException("fetchBytes, mostValue and mostValues must be positive");
        }
        if (busyWait.isNegative() || idleWait.isNegative() || linger.isNegative() || !metadataAge.isPositive()) {
            throw new IllegalArgumentException("a wait must not be negative, and metadataAge must be positive");
        }
    }

    /** Returns the same with another limit of one answer. */
    public ShareOptions withFetchBytes(int bytes) {
        return new ShareOptions(busyWait, idleWait, linger, bytes, mostValue, mostValues, metadataAge);
    }

    /** Returns the measured defaults. */
    public static ShareOptions defaults(int mostValue, long mostValues) {
        return new ShareOptions(
                Duration.ofMillis(200),
                Duration.ofMillis(500),
                // the next fetch leaves earlier if half of the room is free
                Duration.ofMillis(10),
                16 << 20,
                mostValue,
                mostValues,
                Duration.ofSeconds(10));
    }
}
