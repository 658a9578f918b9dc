package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.EventMark;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.Rig;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Five hundred slots are kept busy: jobs of all lengths end when they end in an ideal schedule, and jobs far longer
 * than a lock run once.
 */
@Tag("alone")
class ScheduleIT {
    private static final Duration PATIENCE = Duration.ofMinutes(4);
    private static final int SLOTS = 500;

    private Rig rig;

    @BeforeEach
    void start() {
        rig = Rig.start("schedule");
    }

    @AfterEach
    void stop() {
        rig.close();
    }

    /** With Kafka's share client, a batch of this size fills all slots from any one partition. */
    private PenstockProcess.Builder replica() {
        return rig.replica("replica", SLOTS).config("penstock.intake.batch", "125");
    }

    @ParameterizedTest
    @ValueSource(strings = {"share", "classic"})
    void jobs_of_all_lengths_end_as_an_ideal_schedule_has_them(String mode) throws InterruptedException {
        PenstockProcess replica = rig.start(replica().config("penstock.intake.mode", mode));
        warmUp();
        Random random = new Random(1);
        Map<String, String> prompts = new LinkedHashMap<>();
        List<Integer> lengths = new ArrayList<>();
        for (String id : Rig.ids("job", 2_000)) {
            int millis = 50 + random.nextInt(4_951);
            lengths.add(millis);
            prompts.put(id, "[[tokens=1 first=%d]]".formatted(millis));
        }

        long sent = rig.send(prompts);
        rig.replies().awaitOutcomes(prompts.keySet(), PATIENCE);

        long last = prompts.keySet().stream()
                .mapToLong(id -> rig.replies().outcome(id).timestamp())
                .max()
                .orElseThrow();
        double seconds = (last - sent) / 1000.0;
        double ideal = ideal(lengths);
        System.out.printf(
                "%s: 2,000 jobs of 50 ms to 5 s on 500 slots: %.1f s, ideal %.1f s (%.2f); at most %d at once%n",
                mode, seconds, ideal, seconds / ideal, rig.fake().stats().maxInFlight());
        prompts.keySet()
                .forEach(id -> assertThat(rig.replies().count(id, EventMark.Kind.STARTED))
                        .as(id)
                        .isEqualTo(1));
        assertThat(rig.fake().stats().maxInFlight()).isEqualTo(SLOTS);
        assertThat(seconds)
                .as("a fifth more is the goal; a busy machine has its share")
                .isLessThan(1.5 * ideal);
        assertThat(replica.process().isAlive()).isTrue();
    }

    @Test
    void jobs_of_three_lock_durations_run_once() throws InterruptedException {
        Duration lock = Duration.ofSeconds(15);
        rig.broker().setGroup("penstock.prompt-jobs", "share.record.lock.duration.ms", Long.toString(lock.toMillis()));
        rig.start(replica().config("penstock.intake.mode", "share"));
        List<String> ids = Rig.ids("long", SLOTS);
        rig.send(ids, "[[tokens=%d delay=1000]]".formatted(3 * lock.toSeconds()));

        rig.replies().awaitOutcomes(ids, PATIENCE);

        System.out.printf(
                "500 jobs of three lock durations (%d s each): %d started more than once%n",
                3 * lock.toSeconds(), rig.startedAgain(ids));
        assertThat(rig.startedAgain(ids)).isZero();
        assertThat(rig.replies().outcomes(ids)).isEqualTo(Map.of("completed", SLOTS));
    }

    /** The first jobs meet cold code, also the broker's, and consumers that have no partitions yet. */
    private void warmUp() throws InterruptedException {
        List<String> ids = Rig.ids("warm", 6_000);
        rig.send(ids, "[[tokens=1 first=50]]");
        rig.replies().awaitOutcomes(ids, PATIENCE);
        rig.fake().reset();
    }

    /** In their order, each on the slot that is free first. */
    private static double ideal(List<Integer> lengths) {
        PriorityQueue<Long> slots = new PriorityQueue<>();
        long end = 0;
        for (int millis : lengths) {
            long start = slots.size() < SLOTS ? 0 : slots.remove();
            slots.add(start + millis);
            end = Math.max(end, start + millis);
        }
        return end / 1000.0;
    }
}
