package dev.penstock.intake.record;

import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicLong;

/** A time that stands still until a test moves it. A sleep ends at once, and moves it. */
public final class PausedTime extends Clock {
    public static final Instant START = Instant.parse("2026-11-21T09:00:00Z");

    public final List<Duration> slept = new CopyOnWriteArrayList<>();
    private final AtomicLong nanos = new AtomicLong();

    public LoopTime loop() {
        return new LoopTime(nanos::get, duration -> {
            if (Thread.interrupted()) {
                throw new InterruptedException();
            }
            slept.add(duration);
            advance(duration);
            // gives the test's thread a turn
            Thread.sleep(1);
        });
    }

    public void advance(Duration duration) {
        nanos.addAndGet(duration.toNanos());
    }

    @Override
    public Instant instant() {
        return START.plusNanos(nanos.get());
    }

    @Override
    public ZoneId getZone() {
        return ZoneOffset.UTC;
    }

    @Override
    public Clock withZone(ZoneId zone) {
        return this;
    }
}
