package dev.penstock.bench;

import java.util.concurrent.CountDownLatch;

/** The times of a stream's request and of its first sign. All times are of {@link System#nanoTime}. */
final class FirstSign {
    private final CountDownLatch latch;
    private volatile long begun;
    private volatile long answered;
    private volatile long seen;

    /** @param latch the first sign counts it down */
    FirstSign(CountDownLatch latch) {
        this.latch = latch;
    }

    void begin() {
        begun = System.nanoTime();
    }

    /** The first delta of a direct call has arrived, and a record's trip begins now. */
    void answered() {
        answered = System.nanoTime();
    }

    void seen(long nanos) {
        seen = nanos;
        latch.countDown();
    }

    /** Returns the time from the beginning to the first sign. */
    double totalMillis() {
        return (seen - begun) / 1e6;
    }

    /** Returns the time from the beginning to a direct call's first delta. */
    double callMillis() {
        return (answered - begun) / 1e6;
    }

    /** Returns the time from there to the first sign. */
    double tripMillis() {
        return (seen - answered) / 1e6;
    }
}
