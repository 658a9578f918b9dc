package dev.penstock.api.connection;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class CallEndTest {
    private final List<String> done = new ArrayList<>();

    @Test
    void what_is_added_is_done_once_at_the_end_and_nothing_is_added_after_it() {
        CallEnd end = new CallEnd();
        assertThat(end.add(() -> done.add("a"))).isTrue();
        assertThat(end.add(() -> done.add("b"))).isTrue();
        assertThat(done).isEmpty();

        end.run();
        end.run();

        assertThat(done).containsExactly("a", "b");
        assertThat(end.add(() -> done.add("c"))).isFalse();
        assertThat(done).containsExactly("a", "b");
    }
}
