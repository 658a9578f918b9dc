package dev.penstock.schedule;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.Priority;
import dev.penstock.node.Node;
import dev.penstock.node.Replicas;
import dev.penstock.route.balance.Demand;
import dev.penstock.testkit.Conditions;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Threads that wait: which of them is woken, with which result, and that no slot is lost. */
@Timeout(60)
class SchedulerTest {
    private static final Map<String, String> GPU_A = SchedulerRig.node("gpu-a", 1);
    private static final Map<String, String> GPU_B = SchedulerRig.node("gpu-b", 1);

    private static SchedulerRig.Waiting blocked(SchedulerRig rig, String model) {
        return rig.waits(rig.enter(model));
    }

    @Test
    void a_slot_that_is_granted_to_a_wait_that_is_interrupted_is_given_back() {
        SchedulerRig rig = new SchedulerRig(GPU_A);
        rig.nodes.server("gpu-a").up("llama");
        Node.Slot held = rig.take("gpu-a");
        SchedulerRig.Waiting waiting = blocked(rig, "llama");
        Conditions.await(() -> waiting.thread.getState() == Thread.State.WAITING, () -> "it is not parked");

        // under the lock: it is interrupted, and granted the slot before it can return
        rig.nodes.onFind(() -> {
            rig.nodes.onFind(() -> {});
            waiting.thread.interrupt();
            Conditions.await(() -> !waiting.thread.isInterrupted(), () -> "it does not notice");
        });
        held.close();

        assertThat(waiting.wasInterrupted()).isTrue();
        assertThat(rig.node("gpu-a").inFlight()).isZero();
        assertThat(rig.scheduler.waitingFor("gpu-a")).isZero();
    }

    @Test
    void a_slot_that_is_granted_to_a_wait_that_is_stopped_is_given_back() {
        SchedulerRig rig = new SchedulerRig(GPU_A);
        rig.nodes.server("gpu-a").up("llama");
        Node.Slot held = rig.take("gpu-a");
        SchedulerRig.Waiting waiting = blocked(rig, "llama");

        // under the lock: it is granted the slot, and stopped before it can return
        rig.nodes.onFind(() -> {
            rig.nodes.onFind(() -> {});
            held.close();
            assertThat(rig.node("gpu-a").inFlight()).as("granted").isEqualTo(1);
            waiting.entry.stop();
        });
        rig.nodes.server("gpu-a").up("llama", "another");

        assertThat(waiting.result()).isEqualTo(new Admission.Stopped());
        assertThat(rig.node("gpu-a").inFlight()).isZero();
    }

    @Test
    void a_wait_that_is_stopped_leaves_the_line() {
        SchedulerRig rig = new SchedulerRig(GPU_A);
        rig.nodes.server("gpu-a").up("llama");
        Node.Slot held = rig.take("gpu-a");
        SchedulerRig.Waiting first = blocked(rig, "llama");
        SchedulerRig.Waiting second = blocked(rig, "llama");

        first.entry.stop();
        held.close();

        assertThat(first.result()).isEqualTo(new Admission.Stopped());
        assertThat(second.slot().node().name()).isEqualTo("gpu-a");
    }

    @Test
    void one_that_was_stopped_before_it_waits_does_not_wait() throws InterruptedException {
        SchedulerRig rig = new SchedulerRig(GPU_A);
        QueueEntry entry = rig.enter("llama");
        entry.stop();

        assertThat(entry.await(Avoid.NOTHING, Duration.ZERO)).isEqualTo(new Admission.Stopped());
        assertThat(rig.enter("llama").await(Avoid.NOTHING, Duration.ZERO)).isEqualTo(new Admission.TimedOut());
    }

    @Test
    void a_run_keeps_its_turn_over_its_attempts() {
        SchedulerRig rig = new SchedulerRig(GPU_A);
        rig.nodes.server("gpu-a").up("llama");
        List<String> order = new CopyOnWriteArrayList<>();
        QueueEntry first = rig.enter("llama");
        Node.Slot slot = rig.waits(first).slot();
        List<Thread> others = IntStream.range(0, 5)
                .mapToObj(i -> runs(rig.enter("llama"), "other " + i, order))
                .toList();
        Conditions.await(() -> rig.scheduler.waitingFor("gpu-a") == 5, () -> "they do not wait");

        rig.nodes.server("gpu-a").down();
        slot.close();
        SchedulerRig.Waiting again =
                rig.waits(first, new Avoid(Set.of(), Map.of("gpu-a", rig.clock.instant())), SchedulerRig.LONG);
        assertThat(rig.scheduler.waitingFor("gpu-a")).isEqualTo(6);
        rig.nodes.server("gpu-a").up("llama");

        Node.Slot second = again.slot();
        order.add("first");
        second.close();
        first.close();
        Conditions.await(() -> others.stream().noneMatch(Thread::isAlive), () -> "so far " + order);
        assertThat(order).hasSize(6).first().isEqualTo("first");
        assertThat(rig.node("gpu-a").inFlight()).isZero();
    }

    /** With one slot, so that the starts come one by one. */
    @Test
    void low_ones_get_their_share_of_the_starts_and_no_more_while_high_ones_wait() {
        SchedulerRig rig = new SchedulerRig(GPU_A, Map.of("intake.slots", "1", "intake.low-share", "0.2"));
        rig.nodes.server("gpu-a").up("llama");
        List<String> order = new CopyOnWriteArrayList<>();
        List<Thread> threads = new ArrayList<>();
        try (QueueEntry first = rig.enter("llama")) {
            Node.Slot slot = rig.waits(first).slot();
            for (Priority priority : List.of(Priority.LOW, Priority.HIGH)) {
                for (int i = 0; i < 20; i++) {
                    threads.add(runs(
                            rig.enter("llama", priority, false), priority.name().substring(0, 1), order));
                }
            }
            Conditions.await(() -> rig.waiting("low") == 20 && rig.waiting("high") == 20, () -> "they do not wait");
            slot.close();
        }
        Conditions.await(() -> threads.stream().noneMatch(Thread::isAlive), () -> "so far " + order);

        assertThat(String.join("", order)).isEqualTo("HHHHL".repeat(5) + "L".repeat(15));
    }

    private static Thread runs(QueueEntry entry, String name, List<String> order) {
        return Thread.ofVirtual().start(() -> {
            try (entry) {
                if (entry.await(Avoid.NOTHING, SchedulerRig.LONG)
                        instanceof Admission.Granted(Node.Slot slot, String _)) {
                    order.add(name);
                    slot.close();
                }
            } catch (InterruptedException _) {
                Thread.currentThread().interrupt();
            }
        });
    }

    /** 20 nodes that are down are probed each second. */
    @Test
    void no_thread_is_woken_that_cannot_go() {
        Map<String, String> keys = new HashMap<>(GPU_A);
        for (int i = 0; i < 20; i++) {
            keys.putAll(SchedulerRig.node("down-" + i, 1));
        }
        keys.put("intake.park", "1h");
        SchedulerRig rig = new SchedulerRig(keys);
        rig.nodes.server("gpu-a").up("llama");
        Node.Slot held = rig.take("gpu-a");
        List<SchedulerRig.Waiting> waits = rig.waits(1_000, "llama");
        assertThat(rig.scheduler.waitingFor("gpu-a")).isEqualTo(1_000);

        for (int second = 0; second < 10; second++) {
            rig.pass(Duration.ofSeconds(1));
            for (int i = 0; i < 20; i++) {
                rig.nodes.probe("down-" + i);
            }
            rig.nodes.probe("gpu-a");
        }
        rig.nodes.server("down-0").loading();
        assertThat(rig.scheduler.wakeUps()).isZero();

        rig.nodes.server("down-1").up("llama");
        Conditions.await(() -> waits.stream().anyMatch(SchedulerRig.Waiting::isOver), () -> "none went");
        assertThat(rig.scheduler.waitingFor("gpu-a")).isEqualTo(999);
        waits.forEach(each -> each.entry.stop());
        Conditions.await(() -> waits.stream().allMatch(SchedulerRig.Waiting::isOver), () -> "some still wait");
        assertThat(rig.scheduler.wakeUps()).as("each once").isEqualTo(1_000);
        held.close();
    }

    /** As a further deferred record it would come back at once, again and again, until its time is over. */
    @Test
    void a_copy_whose_time_is_over_before_it_could_come_back_waits_for_its_end() {
        SchedulerRig rig = new SchedulerRig(GPU_A, GPU_B, Map.of("intake.park", "1ms"));
        rig.nodes.server("gpu-a").up("llama");
        rig.nodes.server("gpu-b").up("another");
        rig.nodes.server("gpu-a").down();
        rig.pass(Duration.ofMillis(1));
        Duration left = Duration.ofMillis(300);

        SchedulerRig.Waiting copy = rig.waits(rig.enter("llama", Priority.NORMAL, true), Avoid.NOTHING, left);
        assertThat(rig.waits(rig.enter("llama"), Avoid.NOTHING, left).result())
                .isEqualTo(new Admission.Deferred(Admission.Cause.NODES_DOWN));
        assertThat(rig.waits(rig.enter("llama", Priority.NORMAL, true)).result())
                .isEqualTo(new Admission.Deferred(Admission.Cause.NODES_DOWN));
        assertThat(copy.isOver()).isFalse();
        rig.pass(left);
        assertThat(copy.result()).isEqualTo(new Admission.TimedOut());
    }

    /** If their nodes go down and others stay up, jobs are deferred after this wait. */
    @Test
    void jobs_learn_that_their_nodes_have_gone_down() {
        SchedulerRig rig = new SchedulerRig(GPU_A, GPU_B, Map.of("intake.park", "50ms"));
        rig.nodes.server("gpu-a").up("llama");
        rig.nodes.server("gpu-b").up("another");
        Node.Slot held = rig.take("gpu-a");
        Node.Slot busy = rig.take("gpu-b");
        SchedulerRig.Waiting waiting = blocked(rig, "llama");
        rig.pass(Duration.ofSeconds(1));
        assertThat(waiting.isOver()).isFalse();

        rig.nodes.server("gpu-a").down();
        rig.pass(Duration.ofMillis(49));
        assertThat(waiting.isOver()).isFalse();
        rig.pass(Duration.ofMillis(1));

        assertThat(waiting.result()).isEqualTo(new Admission.Deferred(Admission.Cause.NODES_DOWN));
        held.close();
        busy.close();
    }

    @Test
    void a_pool_that_is_down_holds_up_no_others() {
        SchedulerRig rig = new SchedulerRig(GPU_A, SchedulerRig.node("gpu-b", 128), Map.of("intake.slots", "128"));
        rig.nodes.server("gpu-a").up("llama");
        rig.nodes.server("gpu-b").up("another");
        rig.nodes.server("gpu-a").down();
        List<SchedulerRig.Waiting> blocked = rig.waits(1_500, "llama");

        List<SchedulerRig.Waiting> others = rig.waits(128, "another");

        assertThat(others)
                .allSatisfy(one -> assertThat(one.slot().node().name()).isEqualTo("gpu-b"));
        assertThat(blocked).noneMatch(SchedulerRig.Waiting::isOver);
        rig.pass(Duration.ofSeconds(5));
        assertThat(blocked)
                .allSatisfy(
                        one -> assertThat(one.result()).isEqualTo(new Admission.Deferred(Admission.Cause.NODES_DOWN)));
    }

    @Test
    void a_slot_of_the_replica_is_free_again_when_the_run_is_over() {
        SchedulerRig rig = new SchedulerRig(SchedulerRig.node("gpu-a", 2), Map.of("intake.slots", "1"));
        rig.nodes.server("gpu-a").up("llama");
        QueueEntry first = rig.enter("llama");
        rig.waits(first).slot().close();
        SchedulerRig.Waiting second = blocked(rig, "llama");
        assertThat(second.isOver()).isFalse();

        first.close();
        first.close();

        Node.Slot slot = second.slot();
        SchedulerRig.Waiting third = blocked(rig, "llama");
        assertThat(third.isOver()).as("closing twice gives nothing back twice").isFalse();
        slot.close();
        second.entry.close();
        assertThat(third.slot().node().name()).isEqualTo("gpu-a");
    }

    @Test
    void a_node_that_gets_a_larger_share_takes_more() {
        SchedulerRig rig = new SchedulerRig(SchedulerRig.node("gpu-a", 2));
        rig.nodes.server("gpu-a").up("llama");
        rig.nodes.share(new Replicas(new TreeSet<>(Set.of("a", "b")), "a"));
        Node.Slot held = rig.take("gpu-a");
        SchedulerRig.Waiting waiting = blocked(rig, "llama");
        assertThat(waiting.isOver()).isFalse();

        rig.nodes.share(new Replicas(new TreeSet<>(Set.of("a")), "a"));

        waiting.slot().close();
        held.close();
    }

    @Test
    void a_job_for_an_unknown_model_is_unservable() {
        SchedulerRig rig = new SchedulerRig(GPU_A);
        rig.nodes.server("gpu-a").up("llama");

        assertThat(blocked(rig, "another").result()).isInstanceOf(Admission.Refused.class);
    }

    @Test
    void memory_that_is_scarce_leaves_one_wait_for_a_full_node() {
        SchedulerRig rig = new SchedulerRig(GPU_A, GPU_B);
        rig.nodes.server("gpu-a").up("llama");
        rig.nodes.server("gpu-b").up("another");
        Node.Slot held = rig.take("gpu-a");
        SchedulerRig.Waiting first = blocked(rig, "llama");
        SchedulerRig.Waiting second = blocked(rig, "llama");
        rig.pass(Duration.ofSeconds(1));
        assertThat(second.isOver()).isFalse();
        assertThat(rig.scheduler.blocked()).isEqualTo(2);

        rig.scheduler.crowdedWhile(() -> true);
        rig.pass(Duration.ofSeconds(1));

        assertThat(second.result()).isEqualTo(new Admission.Deferred(Admission.Cause.NODES_FULL));
        assertThat(first.isOver()).isFalse();
        held.close();
        first.slot().close();
        assertThat(rig.scheduler.blocked()).isZero();
    }

    @Test
    void timers_do_not_pile_up() {
        SchedulerRig rig = new SchedulerRig(GPU_A);
        rig.nodes.server("gpu-a").up("llama");
        Node.Slot held = rig.take("gpu-a");
        List<SchedulerRig.Waiting> waits = new ArrayList<>();
        for (int i = 0; i < 200; i++) {
            waits.add(blocked(rig, "llama"));
            rig.pass(Duration.ofMillis(500));
        }
        assertThat(rig.timers()).isLessThan(50);

        waits.forEach(each -> each.entry.stop());
        Conditions.await(() -> waits.stream().allMatch(SchedulerRig.Waiting::isOver), () -> "some still wait");
        rig.pass(Duration.ofMinutes(1));
        assertThat(rig.timers()).as("nothing waits, and nothing is looked at").isZero();
        held.close();
    }

    @Test
    void another_node_may_serve_a_job() {
        SchedulerRig rig = new SchedulerRig(GPU_A, GPU_B);
        rig.nodes.server("gpu-a").up("llama");
        rig.nodes.server("gpu-b").up("llama");
        QueueEntry entry = rig.enter("llama");

        assertThat(rig.nodes.anyTakesJobs()).isTrue();
        assertThat(entry.hasOther(Set.of("gpu-a"))).isTrue();
        rig.nodes.server("gpu-b").down();
        assertThat(entry.hasOther(Set.of("gpu-a"))).as("it is down").isFalse();
        assertThat(entry.mayHaveOther(Set.of("gpu-a"))).isTrue();
        assertThat(entry.mayHaveOther(Set.of("gpu-a", "gpu-b"))).isFalse();
    }

    /** With the clock and the timer of the service. */
    @Test
    void a_wait_ends_by_itself() throws InterruptedException {
        SchedulerRig rig = new SchedulerRig();
        Scheduler scheduler = new Scheduler(rig.settings, rig.nodes, Clock.systemUTC(), new SimpleMeterRegistry());
        try (QueueEntry entry = scheduler.enter(
                Script.key("llama"), Demand.ofChars(0), Priority.NORMAL, "default", "prompt-jobs", false, null)) {
            assertThat(entry.await(Avoid.NOTHING, Duration.ofMillis(20))).isEqualTo(new Admission.TimedOut());
        }
        assertThat(rig.nodes.anyTakesJobs()).isFalse();
    }
}
