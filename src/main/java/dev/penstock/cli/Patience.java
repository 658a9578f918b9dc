package dev.penstock.cli;

import java.time.Duration;

/**
 * How often, and after which pauses, something is tried again that broke off; progress begins it anew.
 *
 * @param first the first pause; each is twice the one before
 */
record Patience(int tries, Duration first, Duration longest) {
    /** Somebody waits at the screen. */
    static final Patience OF_A_PERSON = new Patience(6, Duration.ofMillis(250), Duration.ofSeconds(5));

    /** A run of many jobs outlasts a restart of the service. */
    static final Patience OF_A_RUN = new Patience(14, Duration.ofMillis(500), Duration.ofSeconds(20));

    /**
     * The pause before another try.
     *
     * @param failures in a row so far, from 1
     */
    Duration pause(int failures) {
        Duration pause = first.multipliedBy(1L << Math.min(failures - 1, 20));
        return pause.compareTo(longest) > 0 ? longest : pause;
    }
}
