package dev.penstock.node.http;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.testkit.Conditions;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A connection is paused while there is much to read, and never for ever. */
class ReadAheadTest {
    private final List<String> done = new ArrayList<>();

    @Test
    void much_that_is_unread_pauses_and_a_reader_that_has_caught_up_resumes() throws Exception {
        ReadAhead<Integer> ahead = new ReadAhead<>(4, 2, 1000, _ -> 1);
        for (int i = 0; i < 5; i++) {
            ahead.add(i);
            ahead.filled(1, () -> done.add("pause"), () -> done.add("resume"));
        }
        assertThat(done).containsExactly("pause");

        for (int i = 0; i < 3; i++) {
            assertThat(ahead.take(0, 0)).isEqualTo(i);
            assertThat(ahead.isToResume()).isFalse();
        }
        assertThat(ahead.take(0, 0)).isEqualTo(3);
        assertThat(ahead.isToResume()).isTrue();
        ahead.resumed(() -> done.add("resume"));

        assertThat(done).containsExactly("pause", "resume");
        assertThat(ahead.isToResume()).isFalse();
    }

    @Test
    void few_that_are_large_pause_until_all_of_them_are_read() throws Exception {
        ReadAhead<Integer> ahead = new ReadAhead<>(4, 2, 1000, _ -> 1);
        ahead.add(0);
        ahead.filled(600, () -> done.add("pause"), () -> done.add("resume"));
        assertThat(done).isEmpty();
        ahead.add(1);
        ahead.filled(600, () -> done.add("pause"), () -> done.add("resume"));
        assertThat(done).containsExactly("pause");

        assertThat(ahead.take(0, 0)).isZero();
        assertThat(ahead.isToResume()).isFalse();
        assertThat(ahead.take(0, 0)).isEqualTo(1);
        assertThat(ahead.isToResume()).isTrue();
        ahead.resumed(() -> done.add("resume"));

        ahead.add(2);
        ahead.filled(600, () -> done.add("pause"), () -> done.add("resume"));
        assertThat(done).containsExactly("pause", "resume");
    }

    /** The reader empties the queue between the loop's check of the size and its pause. */
    @Test
    void a_reader_that_empties_it_just_before_the_pause_does_not_leave_it_paused() {
        Drained queue = new Drained();
        ReadAhead<Integer> ahead = new ReadAhead<>(4, 2, 1000, _ -> 1, queue);
        for (int i = 0; i < 5; i++) {
            ahead.add(i);
        }
        queue.drainAfterSize = () -> {
            try {
                while (ahead.take(0, 0) != null) {
                    assertThat(ahead.isToResume())
                            .as("the reader sees no pause")
                            .isFalse();
                }
            } catch (InterruptedException e) {
                throw new AssertionError(e);
            }
        };

        ahead.filled(1, () -> done.add("pause"), () -> done.add("resume"));

        assertThat(done).containsExactly("pause", "resume");
    }

    @Test
    @Timeout(60)
    void a_reader_that_waits_for_more_sleeps_through_small_items() throws Exception {
        ReadAhead<Integer> ahead = new ReadAhead<>(100, 50, 1000, item -> item);
        ahead.add(3);
        assertThat(ahead.take(0, 5)).as("the time is over").isEqualTo(3);
        assertThat(ahead.take(0, 5)).isNull();

        AtomicReference<@Nullable Integer> taken = new AtomicReference<>();
        Thread reader = Thread.ofPlatform().start(() -> {
            try {
                taken.set(ahead.take(Long.MAX_VALUE / 2, 5));
            } catch (InterruptedException e) {
                throw new AssertionError(e);
            }
        });
        Conditions.await(() -> reader.getState() == Thread.State.TIMED_WAITING);
        ahead.add(1);
        ahead.add(2);
        assertThat(reader.getState()).isEqualTo(Thread.State.TIMED_WAITING);
        assertThat(taken.get()).isNull();
        ahead.add(2);
        reader.join();

        assertThat(taken).hasValue(1);
        assertThat(ahead.take(0, 4)).as("both are here").isEqualTo(2);
    }

    /** However the threads meet, the item that completes the weight wakes the reader. */
    @Test
    @Timeout(60)
    void no_wake_up_is_lost() throws Exception {
        ReadAhead<Integer> ahead = new ReadAhead<>(100, 50, 1000, item -> item);
        int rounds = 20_000;
        Thread writer = Thread.ofPlatform().start(() -> {
            for (int i = 0; i < 2 * rounds; i++) {
                ahead.add(1);
            }
        });
        for (int i = 0; i < rounds; i++) {
            assertThat(ahead.take(Long.MAX_VALUE / 2, 2)).isEqualTo(1);
            assertThat(ahead.take(0, 0)).isEqualTo(1);
        }
        writer.join();
    }

    private static final class Drained extends LinkedBlockingQueue<Integer> {
        private static final long serialVersionUID = 1L;
        private transient Runnable drainAfterSize = () -> {};

        @Override
        public int size() {
            int size = super.size();
            Runnable drain = drainAfterSize;
            drainAfterSize = () -> {};
            drain.run();
            return size;
        }
    }
}
