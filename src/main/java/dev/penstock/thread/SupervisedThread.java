package dev.penstock.thread;

import io.micrometer.core.instrument.Metrics;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.jboss.logging.Logger;
import org.jspecify.annotations.Nullable;

/**
 * A platform thread whose body is for the whole life of the service. An unexpected exception does not end it: the exception is
 * logged with its stack, counted in {@code penstock_thread_failures_total{thread}}, and the body runs again after a pause that
 * doubles up to a maximum. The stack of a failure that repeats is logged once. The body ends the thread when it returns, or
 * when it is interrupted.
 */
public final class SupervisedThread {
    /** After so long without a failure the next one counts as the first. */
    private static final Duration RECOVERED_AFTER = Duration.ofMinutes(1);

    private static final Pauses PAUSES = new Pauses(Duration.ofSeconds(1), Duration.ofSeconds(30));
    private static final Logger LOG = Logger.getLogger(SupervisedThread.class);
    private static final Map<SupervisedThread, Failure> FAILING = new ConcurrentHashMap<>();

    private final Thread thread;
    private final Body body;
    private final Runnable atEnd;
    private final Pauses pauses;
    private final CountDownLatch stopping = new CountDownLatch(1);

    /** What the thread does. It may be called again after a failure: it makes what it needs itself. */
    @FunctionalInterface
    public interface Body {
        void run() throws InterruptedException;
    }

    /** Between a failure and the next run of the body. */
    record Pauses(Duration first, Duration longest) {
        Duration after(int failures) {
            Duration pause = first.multipliedBy(1L << Math.min(failures - 1, 20));
            return pause.compareTo(longest) > 0 ? longest : pause;
        }
    }

    /** @param count in a row */
    private record Failure(int count, Instant at, String words, boolean repeats) {
        boolean isOld(Instant now) {
            return at.plus(RECOVERED_AFTER).isBefore(now);
        }

        static Failure after(@Nullable Failure before, Throwable e) {
            Instant now = Instant.now();
            String words = e.toString();
            return before == null || before.isOld(now)
                    ? new Failure(1, now, words, false)
                    : new Failure(before.count() + 1, now, words, before.words().equals(words));
        }
    }

    /** A thread that does not keep the process alive. */
    public SupervisedThread(String name, Body body) {
        this(name, body, () -> {}, PAUSES);
    }

    /** @param atEnd called on the thread once, when it ends for good */
    public SupervisedThread(String name, Body body, Runnable atEnd) {
        this(name, body, atEnd, PAUSES);
    }

    SupervisedThread(String name, Body body, Runnable atEnd, Pauses pauses) {
        this.body = body;
        this.atEnd = atEnd;
        this.pauses = pauses;
        thread = Thread.ofPlatform().daemon().name(name).unstarted(this::supervise);
    }

    /** Starts it; a thread starts once. */
    public void start() {
        thread.start();
    }

    public String name() {
        return thread.getName();
    }

    /** Whether the body is to return. */
    public boolean isStopping() {
        return stopping.getCount() == 0;
    }

    /** Asks the body to return, and ends a pause. */
    public void stop() {
        stopping.countDown();
    }

    /** Also interrupts what the body waits for. */
    public void interrupt() {
        stop();
        thread.interrupt();
    }

    /** Waits until the thread has ended, at most so long. */
    public void join(Duration atMost) throws InterruptedException {
        thread.join(atMost);
    }

    /**
     * Waits, unless the thread is to stop; for the body.
     *
     * @return false: it is to stop
     */
    public boolean pause(Duration duration) throws InterruptedException {
        return !stopping.await(duration.toNanos(), TimeUnit.NANOSECONDS);
    }

    /** The threads whose body failed within the last minute: what failed, by the thread's name. */
    public static Map<String, String> failing() {
        Instant now = Instant.now();
        Map<String, String> failing = new TreeMap<>();
        FAILING.values().removeIf(failure -> failure.isOld(now));
        FAILING.forEach((thread, failure) -> failing.put(
                thread.name(),
                "it failed %d times in a row, last at %s, and starts again each time: %s"
                        .formatted(failure.count(), failure.at(), failure.words())));
        return failing;
    }

    private void supervise() {
        try {
            while (!isStopping()) {
                try {
                    body.run();
                    return;
                } catch (RuntimeException | Error e) {
                    if (Thread.currentThread().isInterrupted() || isStopping()) {
                        LOG.debugf(e, "thread %s ends", name());
                        return;
                    }
                    recover(e);
                }
            }
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
        } finally {
            FAILING.remove(this);
            atEnd.run();
        }
    }

    private void recover(Throwable e) throws InterruptedException {
        Failure failure = Failure.after(FAILING.get(this), e);
        FAILING.put(this, failure);
        Metrics.counter("penstock.thread.failures", "thread", name()).increment();
        Duration pause = pauses.after(failure.count());
        String words = "thread %s failed, and starts again in %d ms: %s".formatted(name(), pause.toMillis(), e);
        if (failure.repeats()) {
            LOG.error(words);
        } else {
            LOG.error(words, e);
        }
        var _ = pause(pause);
    }
}
