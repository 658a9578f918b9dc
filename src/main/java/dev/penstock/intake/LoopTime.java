package dev.penstock.intake;

import java.time.Duration;
import java.util.function.LongSupplier;

/**
 * The time of a consumer loop. A test supplies one that stands still.
 *
 * @param nanos a clock such as {@link System#nanoTime}
 * @param pausing puts the loop's thread to sleep
 */
record LoopTime(LongSupplier nanos, Wait pausing) {
    static final LoopTime SYSTEM = new LoopTime(System::nanoTime, Thread::sleep);

    @FunctionalInterface
    interface Wait {
        void sleep(Duration duration) throws InterruptedException;
    }

    long now() {
        return nanos.getAsLong();
    }

    void sleep(Duration duration) throws InterruptedException {
        pausing.sleep(duration);
    }

    /** Sleeps. An interrupt ends the sleep and stays set. */
    void pause(Duration duration) {
        try {
            sleep(duration);
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
        }
    }
}
