package dev.penstock.app;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import org.junit.jupiter.api.Test;

class IdleMemoryTest {
    private final Deque<Runnable> timers = new ArrayDeque<>();
    private final List<String> collections = new ArrayList<>();
    private int inFlight;

    private void start() {
        new IdleMemory(() -> inFlight, () -> collections.add("collected"), (_, task) -> timers.add(task)).start();
    }

    private void look() {
        timers.removeFirst().run();
    }

    @Test
    void an_idle_replica_collects_at_each_look_but_the_first() {
        start();
        look();
        assertThat(collections).isEmpty();
        look();
        look();
        assertThat(collections).hasSize(2);
    }

    @Test
    void a_replica_with_a_job_does_not_collect() {
        start();
        look();
        inFlight = 1;
        look();
        inFlight = 0;
        look();
        assertThat(collections).isEmpty();
        look();
        assertThat(collections).hasSize(1);
    }
}
