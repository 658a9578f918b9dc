package dev.penstock.thread;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.penstock.testkit.LogLines;
import io.micrometer.core.instrument.Metrics;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;

class SupervisedThreadTest {
    private static final Duration SOON = Duration.ofSeconds(20);
    private static final SupervisedThread.Pauses SHORT =
            new SupervisedThread.Pauses(Duration.ofMillis(1), Duration.ofMillis(4));

    @Test
    void aBodyThatFailsRunsAgainAndIsCountedAndShown() throws Exception {
        SimpleMeterRegistry meters = new SimpleMeterRegistry();
        Metrics.addRegistry(meters);
        AtomicInteger runs = new AtomicInteger();
        CountDownLatch third = new CountDownLatch(1);
        CountDownLatch over = new CountDownLatch(1);
        AtomicInteger ends = new AtomicInteger();
        SupervisedThread thread = new SupervisedThread(
                "test-fails-twice",
                () -> {
                    switch (runs.incrementAndGet()) {
                        case 1 -> throw new IllegalStateException("an unexpected exception");
                        case 2 -> throw new StackOverflowError("an unexpected error");
                        default -> {
                            third.countDown();
                            over.await();
                        }
                    }
                },
                ends::incrementAndGet,
                SHORT,
                true);
        try (LogLines log = LogLines.of(SupervisedThread.class)) {
            thread.start();
            assertTrue(third.await(SOON.toSeconds(), TimeUnit.SECONDS), "the body does not run again");
            String shown = SupervisedThread.failing().get("test-fails-twice");
            assertTrue(
                    shown != null && shown.contains("2 times") && shown.contains("an unexpected error"),
                    "health shows " + shown);
            assertEquals(
                    2.0,
                    meters.get("penstock.thread.failures")
                            .tag("thread", "test-fails-twice")
                            .counter()
                            .count());
            assertEquals(0, ends.get());
            assertEquals(2, log.lines().size(), "one line for each failure");
            assertTrue(
                    log.lines().getFirst().contains("thread test-fails-twice failed, and starts again in 1 ms")
                            && log.lines().getFirst().contains("an unexpected exception"),
                    log.lines().getFirst());
        } finally {
            over.countDown();
            thread.join(SOON);
            Metrics.removeRegistry(meters);
        }
        assertEquals(3, runs.get());
        assertEquals(1, ends.get());
        assertFalse(SupervisedThread.failing().containsKey("test-fails-twice"), "a thread that has ended is not shown");
    }

    @Test
    void aThreadThatPausesAfterAFailureStopsAtOnce() throws Exception {
        CountDownLatch failed = new CountDownLatch(1);
        CountDownLatch ended = new CountDownLatch(1);
        SupervisedThread thread = new SupervisedThread(
                "test-stops",
                () -> {
                    failed.countDown();
                    throw new IllegalStateException("an unexpected exception");
                },
                ended::countDown,
                new SupervisedThread.Pauses(Duration.ofDays(1), Duration.ofDays(1)),
                true);
        thread.start();
        assertTrue(failed.await(SOON.toSeconds(), TimeUnit.SECONDS));
        thread.stop();
        assertTrue(ended.await(SOON.toSeconds(), TimeUnit.SECONDS), "it is still in its pause");
    }

    @Test
    void aVirtualThreadIsSupervisedToo() throws Exception {
        AtomicInteger runs = new AtomicInteger();
        CountDownLatch ended = new CountDownLatch(1);
        SupervisedThread thread = SupervisedThread.ofVirtual(
                "test-virtual",
                () -> {
                    if (runs.incrementAndGet() == 1) {
                        throw new IllegalStateException("an unexpected exception");
                    }
                },
                ended::countDown);
        thread.start();
        assertTrue(ended.await(SOON.toSeconds(), TimeUnit.SECONDS));
        assertEquals(2, runs.get());
        assertFalse(SupervisedThread.gone().containsKey("test-virtual"), "its body may return");
    }

    @Test
    void aCallerStopsTheThreadAndWaitsForItsEnd() {
        CountDownLatch ended = new CountDownLatch(1);
        AtomicReference<SupervisedThread> itself = new AtomicReference<>();
        SupervisedThread thread = new SupervisedThread(
                "test-joined",
                () -> {
                    var _ = itself.get().pause(Duration.ofDays(1));
                },
                ended::countDown);
        itself.set(thread);
        thread.start();
        thread.stopAndJoin(SOON);
        assertEquals(0, ended.getCount());
    }

    @Test
    void aCallerThatIsInterruptedStopsTheThreadAndDoesNotWait() throws Exception {
        CountDownLatch over = new CountDownLatch(1);
        SupervisedThread thread = new SupervisedThread("test-left", over::await, () -> {});
        thread.start();
        Thread.currentThread().interrupt();
        thread.stopAndJoin(SOON);
        assertTrue(Thread.interrupted(), "the caller stays interrupted");
        assertTrue(thread.isStopping());
        over.countDown();
        thread.join(SOON);
    }

    @Test
    void anInterruptEndsTheBodyAndTheThread() throws Exception {
        CountDownLatch waits = new CountDownLatch(1);
        CountDownLatch ended = new CountDownLatch(1);
        SupervisedThread thread = new SupervisedThread(
                "test-interrupt",
                () -> {
                    waits.countDown();
                    new CountDownLatch(1).await();
                },
                ended::countDown,
                SHORT,
                true);
        thread.start();
        assertTrue(waits.await(SOON.toSeconds(), TimeUnit.SECONDS));
        thread.interrupt();
        assertTrue(ended.await(SOON.toSeconds(), TimeUnit.SECONDS));
        assertTrue(thread.isStopping());
    }

    @Test
    void aThreadThatEndsThoughItIsNotToIsNamed() throws Exception {
        CountDownLatch stopped = new CountDownLatch(1);
        SupervisedThread returns = new SupervisedThread("test-returns", () -> {});
        SupervisedThread interrupted = new SupervisedThread("test-interrupted", () -> {
            throw new InterruptedException();
        });
        SupervisedThread broken = new SupervisedThread(
                "test-broken",
                () -> {
                    throw new IllegalStateException() {
                        @Override
                        public String getMessage() {
                            // any failure that the recovery itself meets
                            throw new AssertionError("of the test");
                        }
                    };
                },
                () -> {},
                SHORT,
                false);
        SupervisedThread leaves = new SupervisedThread("test-leaves", () -> {}, () -> {});
        SupervisedThread asked = new SupervisedThread("test-asked", stopped::await);
        try {
            for (SupervisedThread each : List.of(returns, interrupted, broken, leaves, asked)) {
                each.start();
            }
            asked.stop();
            stopped.countDown();
            for (SupervisedThread each : List.of(returns, interrupted, broken, leaves, asked)) {
                each.join(SOON);
            }

            assertEquals(
                    Set.of("test-returns", "test-interrupted", "test-broken"),
                    SupervisedThread.gone().keySet());
        } finally {
            SupervisedThread.forgetGone();
        }
    }

    @Test
    void thePauseDoublesUpToTheLongest() {
        SupervisedThread.Pauses pauses = new SupervisedThread.Pauses(Duration.ofSeconds(1), Duration.ofSeconds(30));
        assertEquals(Duration.ofSeconds(1), pauses.after(1));
        assertEquals(Duration.ofSeconds(16), pauses.after(5));
        assertEquals(Duration.ofSeconds(30), pauses.after(6));
        assertEquals(Duration.ofSeconds(30), pauses.after(Integer.MAX_VALUE));
    }
}
