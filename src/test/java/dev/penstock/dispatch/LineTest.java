package dev.penstock.dispatch;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.Priority;
import dev.penstock.job.RecordPlace;
import dev.penstock.node.Node;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Who gets a node's slot, and that none is lost. */
@Timeout(60)
class LineTest {
    private static final Duration LONG = Duration.ofMinutes(5);

    @Test
    void a_slot_that_is_granted_to_a_wait_that_is_interrupted_is_given_back() throws InterruptedException {
        RunRig rig = new RunRig(RunRig.node("gpu-a", "vllm", 1));
        rig.nodes.server("gpu-a").up("llama");
        Node node = rig.nodes.find("gpu-a").orElseThrow();
        Node.Slot held = Objects.requireNonNull(node.tryAcquire());
        StopSignal signal = new StopSignal();
        AtomicReference<Line.Place> place = new AtomicReference<>();
        Thread waiter = waits(rig, signal, place);
        RunRig.await(() -> waiter.getState() == Thread.State.TIMED_WAITING, () -> "it does not wait");

        // it is interrupted, and granted the slot before it can see that
        rig.nodes.onFind(() -> {
            rig.nodes.onFind(() -> {});
            waiter.interrupt();
            RunRig.await(() -> waiter.getState() == Thread.State.WAITING, () -> "it does not want the lock");
        });
        held.close();
        waiter.join();

        assertThat(place.get()).isNull();
        assertThat(node.inFlight()).isZero();
    }

    @Test
    void a_slot_that_is_granted_to_a_wait_that_is_stopped_is_given_back() throws InterruptedException {
        RunRig rig = new RunRig(RunRig.node("gpu-a", "vllm", 1));
        rig.nodes.server("gpu-a").up("llama");
        Node node = rig.nodes.find("gpu-a").orElseThrow();
        Node.Slot held = Objects.requireNonNull(node.tryAcquire());
        StopSignal signal = new StopSignal();
        AtomicReference<Line.Place> place = new AtomicReference<>();
        Thread waiter = waits(rig, signal, place);
        RunRig.await(() -> rig.line.waitingFor("gpu-a") == 1, () -> "it does not wait");

        Thread.ofVirtual().start(() -> signal.stop(StopSignal.Reason.LOCK_LOST)).join();
        held.close();
        waiter.join();

        assertThat(place.get()).isInstanceOf(Line.Place.Stopped.class);
        assertThat(node.inFlight()).isZero();
    }

    private static Thread waits(RunRig rig, StopSignal signal, AtomicReference<Line.Place> place) {
        return Thread.ofVirtual().start(() -> {
            try (Line.Ticket ticket = rig.line.new Ticket(rig.job("llama"))) {
                place.set(ticket.await(RetryPlan.Avoid.NOTHING, signal, LONG));
            } catch (InterruptedException _) {
                Thread.currentThread().interrupt();
            }
        });
    }

    @Test
    void a_job_keeps_its_turn_over_its_attempts() throws InterruptedException {
        RunRig rig = new RunRig(RunRig.node("gpu-a", "vllm", 1));
        rig.nodes.server("gpu-a").up("llama");
        StopSignal signal = new StopSignal();
        List<String> order = new CopyOnWriteArrayList<>();
        try (Line.Ticket first = rig.line.new Ticket(rig.job("llama"))) {
            Line.Place.Taken taken = (Line.Place.Taken) first.await(RetryPlan.Avoid.NOTHING, signal, LONG);
            List<Thread> others = new ArrayList<>();
            for (int i = 0; i < 5; i++) {
                String name = "other " + i;
                others.add(Thread.ofVirtual().start(() -> {
                    try (Line.Ticket ticket = rig.line.new Ticket(rig.job("llama"))) {
                        if (ticket.await(RetryPlan.Avoid.NOTHING, new StopSignal(), LONG)
                                instanceof Line.Place.Taken(Node.Slot slot, String _)) {
                            order.add(name);
                            slot.close();
                        }
                    } catch (InterruptedException _) {
                        Thread.currentThread().interrupt();
                    }
                }));
            }
            RunRig.await(() -> rig.line.waitingFor("gpu-a") == 5, () -> "they do not wait");
            Node node = taken.slot().node();
            rig.nodes.server("gpu-a").down();
            taken.slot().close();
            Thread again = Thread.ofVirtual().start(() -> {
                try {
                    RetryPlan.Avoid failed = new RetryPlan.Avoid(Set.of(), Map.of("gpu-a", rig.clock.instant()));
                    if (first.await(failed, signal, LONG) instanceof Line.Place.Taken(Node.Slot slot, String _)) {
                        order.add("first");
                        slot.close();
                    }
                } catch (InterruptedException _) {
                    Thread.currentThread().interrupt();
                }
            });
            RunRig.await(() -> rig.line.waitingFor("gpu-a") == 6, () -> "it does not wait");
            rig.nodes.server("gpu-a").up("llama");
            again.join();
            for (Thread other : others) {
                other.join();
            }
            assertThat(order).hasSize(6).first().isEqualTo("first");
            assertThat(node.inFlight()).isZero();
        }
    }

    /** With one slot, so that the starts come one by one. */
    @Test
    void low_ones_get_their_share_of_the_starts_and_no_more_while_high_ones_wait() throws InterruptedException {
        RunRig rig = new RunRig(
                RunRig.keys(RunRig.node("gpu-a", "vllm", 1), Map.of("intake.slots", "1", "intake.low-share", "0.2")));
        rig.nodes.server("gpu-a").up("llama");
        List<String> starts = new CopyOnWriteArrayList<>();
        List<Thread> threads = new ArrayList<>();
        try (Line.Ticket first = rig.line.new Ticket(rig.job("llama"))) {
            Line.Place.Taken held = (Line.Place.Taken) first.await(RetryPlan.Avoid.NOTHING, new StopSignal(), LONG);
            for (Priority priority : List.of(Priority.LOW, Priority.HIGH)) {
                for (int i = 0; i < 20; i++) {
                    threads.add(Thread.ofVirtual().start(() -> run(rig, priority, starts)));
                }
            }
            RunRig.await(() -> rig.line.waitingFor("gpu-a") == 40, () -> "they do not wait");
            held.slot().close();
        }
        for (Thread thread : threads) {
            thread.join();
        }

        assertThat(String.join("", starts)).isEqualTo("HHHHL".repeat(5) + "L".repeat(15));
    }

    private static void run(RunRig rig, Priority priority, List<String> starts) {
        try (Line.Ticket ticket = rig.line.new Ticket(rig.job("llama", priority))) {
            if (ticket.await(RetryPlan.Avoid.NOTHING, new StopSignal(), LONG)
                    instanceof Line.Place.Taken(Node.Slot slot, String _)) {
                starts.add(priority.name().substring(0, 1));
                slot.close();
            }
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
        }
    }

    /** 20 nodes that are down are probed each second. */
    @Test
    void a_probe_that_finds_nothing_new_wakes_nobody() throws InterruptedException {
        Map<String, String> keys = new HashMap<>();
        for (int i = 0; i < 20; i++) {
            keys.putAll(RunRig.node("down-" + i, "vllm", 1));
        }
        keys.putAll(RunRig.node("busy", "vllm", 1));
        keys.put("intake.park", "1h");
        RunRig rig = new RunRig(keys);
        rig.nodes.server("busy").up("llama");
        Node.Slot held =
                Objects.requireNonNull(rig.nodes.find("busy").orElseThrow().tryAcquire());
        List<StopSignal> signals = new ArrayList<>();
        List<Thread> waiters = Stream.generate(() -> {
                    StopSignal signal = new StopSignal();
                    signals.add(signal);
                    return waits(rig, signal, new AtomicReference<>());
                })
                .limit(1_000)
                .toList();
        RunRig.await(() -> rig.line.waitingFor("busy") == 1_000, () -> "they do not wait");
        // each makes room or looks once when its patience ends
        RunRig.await(() -> rig.line.wakeUps() >= 1_000, () -> "woken: " + rig.line.wakeUps());
        long version = rig.nodes.version();
        long before = rig.line.wakeUps();

        for (int second = 0; second < 10; second++) {
            for (int i = 0; i < 20; i++) {
                rig.nodes.probe("down-" + i);
            }
            rig.nodes.probe("busy");
        }

        assertThat(rig.nodes.version()).isEqualTo(version);
        assertThat(rig.line.wakeUps()).isEqualTo(before);

        rig.nodes.server("down-0").loading();
        assertThat(rig.nodes.version()).isEqualTo(version + 1);
        assertThat(rig.line.wakeUps()).as("it is of no use to them").isEqualTo(before);

        rig.nodes.server("down-1").up("llama");
        RunRig.await(() -> rig.line.waitingFor("busy") < 1_000, () -> "none went");
        signals.forEach(signal -> signal.stop(StopSignal.Reason.SHUTDOWN));
        for (Thread waiter : waiters) {
            waiter.join();
        }
        held.close();
    }

    /** As a further copy it would come back at once, again and again, until its time is over. */
    @Test
    void a_copy_whose_time_is_over_before_it_could_come_back_waits_for_its_end() throws InterruptedException {
        RunRig rig = new RunRig(RunRig.keys(
                RunRig.node("gpu-a", "vllm", 1), RunRig.node("gpu-b", "vllm", 1), Map.of("intake.park", "1ms")));
        rig.nodes.server("gpu-a").up("llama");
        rig.nodes.server("gpu-b").up("another");
        rig.nodes.server("gpu-a").down();
        TakenJob first = rig.job("llama");
        TakenJob copy = new TakenJob(
                first.job(),
                first.stamp(),
                first.document(),
                first.namesItself(),
                new RecordPlace("prompt-jobs-deferred", 0, 0),
                null);
        Duration left = Duration.ofMillis(300);

        assertThat(wait(rig, first, left)).isEqualTo(new Line.Place.Blocked(true));
        assertThat(wait(rig, copy, left)).isEqualTo(new Line.Place.TooLate());
        assertThat(wait(rig, copy, LONG)).isEqualTo(new Line.Place.Blocked(true));
    }

    private static Line.Place wait(RunRig rig, TakenJob job, Duration atMost) throws InterruptedException {
        try (Line.Ticket ticket = rig.line.new Ticket(job)) {
            return ticket.await(RetryPlan.Avoid.NOTHING, new StopSignal(), atMost);
        }
    }

    /** Where their nodes go down and others stay up, jobs are set aside once they have waited so long. */
    @Test
    void jobs_learn_that_their_nodes_have_gone_down() throws InterruptedException {
        Map<String, String> keys = RunRig.keys(
                RunRig.node("gpu-a", "vllm", 1), RunRig.node("gpu-b", "vllm", 1), Map.of("intake.park", "50ms"));
        RunRig rig = new RunRig(keys);
        rig.nodes.server("gpu-a").up("llama");
        rig.nodes.server("gpu-b").up("another");
        Node.Slot held =
                Objects.requireNonNull(rig.nodes.find("gpu-a").orElseThrow().tryAcquire());
        Node.Slot busy =
                Objects.requireNonNull(rig.nodes.find("gpu-b").orElseThrow().tryAcquire());
        AtomicReference<Line.Place> place = new AtomicReference<>();
        Thread waiter = waits(rig, new StopSignal(), place);
        RunRig.await(() -> rig.line.wakeUps() >= 1, () -> "its patience does not end");

        rig.nodes.server("gpu-a").down();
        waiter.join();

        assertThat(place.get()).isEqualTo(new Line.Place.Blocked(true));
        held.close();
        busy.close();
    }
}
