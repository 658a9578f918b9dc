package dev.penstock.cli.rest;

import java.time.Duration;

/**
 * The number of retries of an interrupted operation, and the pauses between them. Progress resets the count.
 *
 * @param first the first pause; each further pause is twice as long as the previous pause
 */
public record Patience(int tries, Duration first, Duration longest) {
    /** For a person who waits at the screen. */
    public static final Patience OF_A_PERSON = new Patience(6, Duration.ofMillis(250), Duration.ofSeconds(5));

    /** For a run of many jobs. It is long enough for a restart of the service. */
    public static final Patience OF_A_RUN = new Patience(14, Duration.ofMillis(500), Duration.ofSeconds(20));

    /**
     * Returns the pause before the next retry.
     *
     * @param failures the number of failures in a row so far, 1 or more
     */
    Duration pause(int failures) {
        Duration pause = first.multipliedBy(1L << Math.min(failures - 1, 20));
        return pause.compareTo(longest) > 0 ? longest : pause;
    }
}
