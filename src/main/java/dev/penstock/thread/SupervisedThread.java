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
 * A thread whose body runs as long as the service runs, or as long as the object that it serves exists. An unexpected
 * exception does not end the thread. The thread logs the exception with its stack and counts it in {@code
 * penstock_thread_failures_total{thread}}. Then it runs the body again after a pause, which doubles with each failure
 * up to a maximum. If the same failure repeats, the thread logs its stack only once. {@link #gone} lists the threads
 * that ended without a request to stop. If there are any, the process is incomplete, and the liveness check fails.
 */
public final class SupervisedThread {
    /** After this time without a failure, the next failure counts as the first. */
    private static final Duration RECOVERED_AFTER = Duration.ofMinutes(1);

    private static final Pauses PAUSES = new Pauses(Duration.ofSeconds(1), Duration.ofSeconds(30));
    private static final Logger LOG = Logger.getLogger(SupervisedThread.class);
    private static final Map<SupervisedThread, Failure> FAILING = new ConcurrentHashMap<>();
    /** The reasons of unexpected ends, by the thread's name. */
    private static final Map<String, String> GONE = new ConcurrentHashMap<>();

    private final Thread thread;
    private final Body body;
    private final Runnable atEnd;
    private final Pauses pauses;
    /** Whether the thread may end because its body returns. */
    private final boolean mayLeave;

    private final CountDownLatch stopping = new CountDownLatch(1);

    /** The work of the thread. After a failure it runs again, so it must create its own resources. */
    @FunctionalInterface
    public interface Body {
        void run() throws InterruptedException;
    }

    /** The pauses between a failure and the next run of the body. */
    record Pauses(Duration first, Duration longest) {
        Duration after(int failures) {
            Duration pause = first.multipliedBy(1L << Math.min(failures - 1, 20));
            return pause.compareTo(longest) > 0 ? longest : pause;
        }
    }

    /** @param count the number of failures in a row */
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

    /** Creates a thread that does not keep the process alive. */
    public SupervisedThread(String name, Body body) {
        this(name, body, () -> {}, PAUSES, false);
    }

    /**
     * Creates a thread that ends when its body returns.
     *
     * @param atEnd runs on the thread once, when the thread ends for good
     */
    public SupervisedThread(String name, Body body, Runnable atEnd) {
        this(name, body, atEnd, PAUSES, true);
    }

    SupervisedThread(String name, Body body, Runnable atEnd, Pauses pauses, boolean mayLeave) {
        this(Thread.ofPlatform().daemon(), name, body, atEnd, pauses, mayLeave);
    }

    private SupervisedThread(
            Thread.Builder kind, String name, Body body, Runnable atEnd, Pauses pauses, boolean mayLeave) {
        this.body = body;
        this.atEnd = atEnd;
        this.pauses = pauses;
        this.mayLeave = mayLeave;
        thread = kind.name(name).unstarted(this::supervise);
    }

    /**
     * Returns a virtual thread that ends when its body returns.
     *
     * @param atEnd runs on the thread once, when the thread ends for good
     */
    public static SupervisedThread ofVirtual(String name, Body body, Runnable atEnd) {
        return new SupervisedThread(Thread.ofVirtual(), name, body, atEnd, PAUSES, true);
    }

    /** Starts the thread. A thread starts only once. */
    public void start() {
        thread.start();
    }

    public String name() {
        return thread.getName();
    }

    /** Returns whether the body must return. */
    public boolean isStopping() {
        return stopping.getCount() == 0;
    }

    /** Asks the body to return, and ends the pause before the body's next run. */
    public void stop() {
        stopping.countDown();
    }

    /** Stops the thread, and interrupts it. */
    public void interrupt() {
        stop();
        thread.interrupt();
    }

    /** Waits until the thread has ended, or until the time is over. */
    public void join(Duration atMost) throws InterruptedException {
        thread.join(atMost);
    }

    /** Stops the thread, and waits until it has ended, the time is over, or the caller is interrupted. */
    public void stopAndJoin(Duration atMost) {
        stop();
        try {
            join(atMost);
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
        }
    }

    /**
     * Waits inside the body, until the time is over or the thread must stop.
     *
     * @return false if the thread must stop
     */
    public boolean pause(Duration duration) throws InterruptedException {
        return !stopping.await(duration.toNanos(), TimeUnit.NANOSECONDS);
    }

    /** Returns a description of each failure within the last minute, by the thread's name. */
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

    /** Returns the reason of each unexpected end, by the thread's name. */
    public static Map<String, String> gone() {
        return new TreeMap<>(GONE);
    }

    /** Clears the reasons of unexpected ends, for tests. */
    static void forgetGone() {
        GONE.clear();
    }

    private void supervise() {
        String how = "it ended with an error that it could not survive";
        try {
            how = superviseBody();
        } finally {
            FAILING.remove(this);
            if (!isStopping() && !how.isEmpty()) {
                GONE.put(name(), how + " at " + Instant.now());
                LOG.errorf("thread %s is gone: %s", name(), how);
            }
            atEnd.run();
        }
    }

    /**
     * Runs the body until it ends.
     *
     * @return how the body ended; empty if its end was expected
     */
    private String superviseBody() {
        try {
            while (!isStopping()) {
                try {
                    body.run();
                    return mayLeave ? "" : "it returned";
                } catch (RuntimeException | Error e) {
                    if (Thread.currentThread().isInterrupted() || isStopping()) {
                        LOG.debugf(e, "thread %s ends", name());
                        return "it was interrupted";
                    }
                    recover(e);
                }
            }
            return "";
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
            return "it was interrupted";
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
