package dev.penstock.bench;

import java.util.concurrent.CountDownLatch;

/** When a stream was asked for, and when its first sign was there. All times are of {@link System#nanoTime}. */
final class FirstSign {
    private final CountDownLatch latch;
    private volatile long begun;
    private volatile long answered;
    private volatile long seen;

    /** @param latch is counted down by the first sign */
    FirstSign(CountDownLatch latch) {
        this.latch = latch;
    }

    void begin() {
        begun = System.nanoTime();
    }

    /** Of a direct call: its first delta is there, and a record is about to go on its trip. */
    void answered() {
        answered = System.nanoTime();
    }

    void seen(long nanos) {
        seen = nanos;
        latch.countDown();
    }

    /** From the begin to the first sign. */
    double totalMillis() {
        return (seen - begun) / 1e6;
    }

    /** From the begin to a direct call's first delta. */
    double callMillis() {
        return (answered - begun) / 1e6;
    }

    /** From there to the first sign. */
    double tripMillis() {
        return (seen - answered) / 1e6;
    }
}
