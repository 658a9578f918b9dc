package dev.penstock.dispatch;

import dev.penstock.job.JobFailure;
import java.time.Instant;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.jspecify.annotations.Nullable;

/** A delivery as a test sets it. It keeps what becomes of the record. */
final class FakeDelivery implements Delivery {
    volatile boolean redelivered;
    volatile boolean redeliveredAfterAll;
    volatile boolean last;

    /** Whether the run that acknowledged the record had not looked the job up. */
    volatile boolean asOnlyRun;

    volatile boolean held = true;
    volatile boolean takesDeadLetters = true;
    volatile int handedBack;
    volatile int failures;
    int brokenRuns;
    volatile @Nullable Instant deferredSince;

    /** What became of the record, in order. */
    final List<String> ends = new CopyOnWriteArrayList<>();

    @Override
    public boolean mayHaveRun() {
        return redelivered;
    }

    @Override
    public boolean mayHaveRunAfterAll() {
        return redeliveredAfterAll;
    }

    @Override
    public boolean isLastDelivery() {
        return last;
    }

    @Override
    public int handedBack() {
        return handedBack;
    }

    @Override
    public int failures() {
        return failures;
    }

    @Override
    public int brokenRuns() {
        return brokenRuns;
    }

    @Override
    public @Nullable Instant deferredSince() {
        return deferredSince;
    }

    @Override
    public boolean isGone() {
        return !held;
    }

    @Override
    public boolean renew() {
        return held;
    }

    @Override
    public void acknowledge() {
        ends.add("acknowledged");
    }

    @Override
    public void acknowledgeOnlyRun() {
        ends.add("acknowledged");
        asOnlyRun = true;
    }

    @Override
    public void defer(Deferral deferral, int lastAttempt, int failed) {
        ends.add("deferred %s %s %d %d".formatted(deferral.delay(), deferral.why(), lastAttempt, failed));
    }

    @Override
    public void deferBroken(Deferral deferral) {
        brokenRuns++;
        ends.add("broken %s %s".formatted(deferral.delay(), deferral.why()));
    }

    @Override
    public void handBack(int lastAttempt) {
        ends.add("handed back " + lastAttempt);
    }

    @Override
    public boolean deadLetter(JobFailure failure, int attempts) {
        ends.add("dead letter %s %d".formatted(failure.code(), attempts));
        return takesDeadLetters;
    }
}
