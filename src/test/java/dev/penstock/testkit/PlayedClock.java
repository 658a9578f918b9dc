package dev.penstock.testkit;

import java.time.Clock;
import java.time.InstantSource;
import java.time.ZoneOffset;

/** Clocks that a test sets. */
public final class PlayedClock {
    private PlayedClock() {}

    /** Returns a clock that shows what the source says at each reading. */
    public static Clock of(InstantSource source) {
        return source.withZone(ZoneOffset.UTC);
    }
}
