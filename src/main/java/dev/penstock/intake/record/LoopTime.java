package dev.penstock.intake.record;

import java.time.Duration;
import java.util.function.LongSupplier;

/**
 * The clock and the pauses of a consumer loop. A test supplies a clock that stands still.
 *
 * @param nanos a clock such as {@link System#nanoTime}
 * @param pausing puts the loop's thread to sleep
 */
public record LoopTime(LongSupplier nanos, Wait pausing) {
    public static final LoopTime SYSTEM = new LoopTime(System::nanoTime, Thread::sleep);

    @FunctionalInterface
    interface Wait {
        void sleep(Duration duration) throws InterruptedException;
    }

    public long now() {
        return nanos.getAsLong();
    }

    public void sleep(Duration duration) throws InterruptedException {
        pausing.sleep(duration);
    }

    /** Sleeps. An interrupt ends the sleep, and the thread stays interrupted. */
    public void pause(Duration duration) {
        try {
            sleep(duration);
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
        }
    }
}
