package dev.penstock.execution;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

@Timeout(60)
class StopSignalTest {
    private static final Duration LONG = Duration.ofHours(1);

    private final StopSignal signal = new StopSignal();

    @ParameterizedTest
    @CsvSource({
        "CANCELLED, CANCELLED, CANCELLED",
        "CANCELLED, LOCK_LOST, LOCK_LOST",
        "CANCELLED, SHUTDOWN, SHUTDOWN",
        "SHUTDOWN, CANCELLED, SHUTDOWN",
        "SHUTDOWN, LOCK_LOST, SHUTDOWN",
        "LOCK_LOST, SHUTDOWN, LOCK_LOST",
    })
    void the_first_reason_counts_unless_it_is_a_cancellation(
            StopSignal.Reason first, StopSignal.Reason second, StopSignal.Reason counts) {
        signal.stop(first);
        signal.stop(second);

        assertThat(signal.reason()).isEqualTo(counts);
        assertThat(signal.isGiven()).isTrue();
        assertThat(signal.isOver()).isEqualTo(counts != StopSignal.Reason.CANCELLED);
        assertThat(signal.whenGiven()).isDone();
    }

    @Test
    void it_wakes_the_wait_of_the_moment() {
        AtomicInteger woken = new AtomicInteger();
        try (StopSignal.Waking _ = signal.wakeBy(woken::incrementAndGet)) {
            assertThat(woken).hasValue(0);
            signal.stop(StopSignal.Reason.CANCELLED);
            assertThat(woken).hasValue(1);
        }
        signal.stop(StopSignal.Reason.SHUTDOWN);
        assertThat(woken).hasValue(1);

        try (StopSignal.Waking _ = signal.wakeBy(woken::incrementAndGet)) {
            assertThat(woken).as("it was given before").hasValue(2);
        }
    }

    @Test
    void a_pause_ends_with_the_signal() throws InterruptedException {
        signal.stop(StopSignal.Reason.SHUTDOWN);

        signal.pause(LONG);
    }

    @Test
    void a_pause_of_a_cancelled_run_ends_when_nothing_more_is_published() throws InterruptedException {
        signal.stop(StopSignal.Reason.CANCELLED);
        Thread thread = Thread.ofVirtual().start(() -> {
            try {
                signal.pause(LONG);
            } catch (InterruptedException _) {
                Thread.currentThread().interrupt();
            }
        });

        signal.stop(StopSignal.Reason.LOCK_LOST);
        thread.join();
    }
}
