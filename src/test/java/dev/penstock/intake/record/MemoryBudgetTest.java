package dev.penstock.intake.record;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.penstock.testkit.Conditions;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/** There are 800 bytes: each of two topics has 100 of its own, and 600 are common. */
class MemoryBudgetTest {
    private static final String HIGH = "high";
    private static final String LOW = "low";

    private final MemoryBudget shares = new MemoryBudget(800, List.of(HIGH, LOW));
    private final BlockingQueue<String> admitted = new LinkedBlockingQueue<>();

    @Test
    void one_topic_may_have_all_but_what_is_the_others_own() {
        shares.take(LOW, 699);
        assertThat(shares.isOpen(LOW)).isTrue();
        assertThat(shares.isCrowded()).isFalse();

        shares.take(LOW, 1);

        assertThat(shares.isOpen(LOW)).isFalse();
        assertThat(shares.isOpen(HIGH)).isTrue();
        assertThat(shares.isCrowded()).isTrue();
        assertThat(shares.taken()).isEqualTo(700);
        shares.take(HIGH, 100);
        assertThat(shares.isOpen(HIGH)).isFalse();
        shares.release(LOW, 1);
        assertThat(shares.isOpen(HIGH)).isTrue();
    }

    @Test
    void a_record_has_its_topics_own_room_whatever_another_topic_has_and_waits_for() throws InterruptedException {
        MemoryBudget.Reservation _ = shares.admit(LOW, 700);
        admitLater("low", LOW, 50);

        try (MemoryBudget.Reservation _ = shares.admit(HIGH, 100)) {
            assertThat(admitted).isEmpty();
        }
    }

    @Test
    void what_comes_free_goes_to_the_more_urgent_topic_and_within_one_to_who_came_first() throws InterruptedException {
        MemoryBudget.Reservation first = shares.admit(LOW, 700);
        admitLater("low 1", LOW, 650);
        admitLater("low 2", LOW, 1);
        admitLater("high", HIGH, 650);

        first.close();

        assertThat(admitted.poll(30, TimeUnit.SECONDS)).isEqualTo("high");
        assertThat(admitted).isEmpty();
    }

    @Test
    void small_records_do_not_overtake_a_large_one_of_a_more_urgent_topic() throws InterruptedException {
        MemoryBudget.Reservation running = shares.admit(LOW, 400);
        admitLater("high", HIGH, 500);
        admitLater("low", LOW, 50);

        assertThat(admitted).as("300 of the common 600 are free").isEmpty();
        running.close();

        assertThat(admitted.poll(30, TimeUnit.SECONDS)).isIn("high", "low");
        assertThat(admitted.poll(30, TimeUnit.SECONDS)).isIn("high", "low");
    }

    @Test
    void a_record_larger_than_all_of_it_has_what_there_is() throws InterruptedException {
        try (MemoryBudget.Reservation _ = shares.admit(HIGH, 5_000)) {
            admitLater("low", LOW, 101);
            assertThat(admitted).isEmpty();
        }

        assertThat(admitted.poll(30, TimeUnit.SECONDS)).isEqualTo("low");
    }

    @Test
    void one_that_is_interrupted_leaves_its_place_to_the_next() throws InterruptedException {
        MemoryBudget.Reservation first = shares.admit(LOW, 100);
        Thread large = admitLater("large", LOW, 650);
        admitLater("small", LOW, 600);

        large.interrupt();

        assertThat(admitted.poll(30, TimeUnit.SECONDS)).isEqualTo("small");
        large.join();
        assertThat(admitted).isEmpty();
        first.close();
    }

    @Test
    void a_topic_that_nobody_takes_jobs_from_is_a_mistake() {
        assertThatThrownBy(() -> shares.isOpen("other"))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("other");
    }

    /** Waits until it stands in the line. */
    private Thread admitLater(String name, String topic, long bytes) throws InterruptedException {
        CountDownLatch begun = new CountDownLatch(1);
        Thread thread = Thread.ofPlatform().daemon().start(() -> {
            begun.countDown();
            try {
                MemoryBudget.Reservation _ = shares.admit(topic, bytes);
                admitted.add(name);
            } catch (InterruptedException _) {
                Thread.currentThread().interrupt();
            }
        });
        begun.await();
        Conditions.await(() -> thread.getState() != Thread.State.RUNNABLE);
        return thread;
    }
}
