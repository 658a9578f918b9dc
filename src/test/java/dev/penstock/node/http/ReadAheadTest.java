package dev.penstock.node.http;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.LinkedBlockingQueue;
import org.junit.jupiter.api.Test;

/** A connection is paused while there is much to read, and never for ever. */
class ReadAheadTest {
    private final List<String> done = new ArrayList<>();

    @Test
    void much_that_is_unread_pauses_and_a_reader_that_has_caught_up_resumes() throws Exception {
        ReadAhead<Integer> ahead = new ReadAhead<>(4, 2, 1000);
        for (int i = 0; i < 5; i++) {
            ahead.add(i);
            ahead.filled(1, () -> done.add("pause"), () -> done.add("resume"));
        }
        assertThat(done).containsExactly("pause");

        for (int i = 0; i < 3; i++) {
            assertThat(ahead.take(0)).isEqualTo(i);
            assertThat(ahead.isToResume()).isFalse();
        }
        assertThat(ahead.take(0)).isEqualTo(3);
        assertThat(ahead.isToResume()).isTrue();
        ahead.resumed(() -> done.add("resume"));

        assertThat(done).containsExactly("pause", "resume");
        assertThat(ahead.isToResume()).isFalse();
    }

    @Test
    void few_that_are_large_pause_until_all_of_them_are_read() throws Exception {
        ReadAhead<Integer> ahead = new ReadAhead<>(4, 2, 1000);
        ahead.add(0);
        ahead.filled(600, () -> done.add("pause"), () -> done.add("resume"));
        assertThat(done).isEmpty();
        ahead.add(1);
        ahead.filled(600, () -> done.add("pause"), () -> done.add("resume"));
        assertThat(done).containsExactly("pause");

        assertThat(ahead.take(0)).isZero();
        assertThat(ahead.isToResume()).isFalse();
        assertThat(ahead.take(0)).isEqualTo(1);
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
        ReadAhead<Integer> ahead = new ReadAhead<>(4, 2, 1000, queue);
        for (int i = 0; i < 5; i++) {
            ahead.add(i);
        }
        queue.drainAfterSize = () -> {
            try {
                while (ahead.take(0) != null) {
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
