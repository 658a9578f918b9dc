package dev.penstock.execution;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.node.FakeNodes;
import dev.penstock.settings.read.TestSettings;
import dev.penstock.testkit.Conditions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** How few jobs reach a node that answers its probes but hangs or fails its jobs, and when it serves again. */
@Timeout(120)
class HangingNodeTest {
    private static final int SLOTS = 8;
    private static final Duration INTERVAL = Duration.ofSeconds(5);
    private static final Map<String, String> SETTINGS =
            Map.of("timeouts.first-token", "2s", "breaker.half-open-after", "5s");

    @Test
    void of_a_thousand_jobs_a_hanging_node_gets_its_slots_and_one_per_interval() {
        ExecutionRig rig = new ExecutionRig(
                SETTINGS,
                TestSettings.node("gpu-a", "vllm", SLOTS),
                TestSettings.node("gpu-b", "vllm", SLOTS),
                TestSettings.node("gpu-c", "vllm", SLOTS),
                TestSettings.node("gpu-d", "vllm", SLOTS));
        List<FakeNodes.Server> good = List.of(
                rig.nodes.server("gpu-b").up("llama"),
                rig.nodes.server("gpu-c").up("llama"),
                rig.nodes.server("gpu-d").up("llama"));
        FakeNodes.Server hangs = rig.nodes.server("gpu-a").up("llama");
        List<ExecutionRig.Run> runs = new ArrayList<>();
        for (int i = 0; i < 1_000; i++) {
            runs.add(rig.start("llama"));
        }

        long open = 0;
        long opened = 0;
        while (runs.stream().anyMatch(run -> !run.isOver())) {
            rig.pass(Duration.ofSeconds(1));
            List<FakeNodes.Call> answered = open(good);
            answered.forEach(call -> call.answer("Hi"));
            Conditions.await(
                    () -> answered.stream().noneMatch(FakeNodes.Call::isOpen)
                            && (rig.waiting() == 0 || open(good).size() == 3 * SLOTS),
                    () -> open(good).size() + " requests at the other nodes");
            open = rig.time.nanos();
            if (opened == 0 && !rig.node("gpu-a").requests().breaker().equals("closed")) {
                opened = open;
            }
        }

        long intervals = (open - opened) / INTERVAL.toNanos();
        System.out.printf(
                "1,000 jobs, one of four nodes hangs: %d requests reached it (%d slots, open for %d intervals)%n",
                hangs.calls().size(), SLOTS, intervals);
        assertThat(runs).allSatisfy(run -> assertThat(run.outcome().event()).isInstanceOf(JobEvent.Completed.class));
        assertThat(hangs.calls()).hasSizeBetween(SLOTS, SLOTS + (int) intervals);
        assertThat(rig.node("gpu-a").requests().breaker()).isNotEqualTo("closed");
        rig.assertNothingHeld();
    }

    private static List<FakeNodes.Call> open(List<FakeNodes.Server> servers) {
        return servers.stream()
                .flatMap(server -> server.calls().stream())
                .filter(FakeNodes.Call::isOpen)
                .toList();
    }

    @Test
    void a_node_that_works_again_serves_within_two_intervals() {
        ExecutionRig rig = new ExecutionRig(
                SETTINGS, TestSettings.node("gpu-a", "vllm", 2), TestSettings.node("gpu-b", "vllm", 2));
        FakeNodes.Server hangs = rig.nodes.server("gpu-a").up("llama");
        rig.nodes.server("gpu-b").up("llama").onCall(call -> call.answer("Hi"));
        ExecutionRig.Run first = rig.start("llama");
        ExecutionRig.awaitCalls(hangs, 1);
        rig.passUntil(first::isOver, () -> "it still hangs");
        assertThat(first.sink.nodes()).containsExactly("gpu-a", "gpu-b");
        assertThat(rig.node("gpu-a").requests().breaker()).isEqualTo("open");
        rig.start("llama").outcome();
        assertThat(hangs.calls()).as("no job while it is open").hasSize(1);

        hangs.onCall(call -> call.answer("Hi"));
        Duration until = INTERVAL.multipliedBy(2);
        for (Duration passed = Duration.ZERO;
                passed.compareTo(until) < 0;
                passed = passed.plus(Duration.ofMillis(500))) {
            rig.pass(Duration.ofMillis(500));
            rig.start("llama").outcome();
        }

        assertThat(rig.node("gpu-a").requests().breaker()).isEqualTo("closed");
        assertThat(hangs.calls()).hasSizeGreaterThan(3);
    }

    @Test
    void the_jobs_of_a_node_without_another_wait_for_the_jobs_that_try_it() {
        ExecutionRig rig = new ExecutionRig(SETTINGS, TestSettings.node("gpu-a", "vllm", 4));
        FakeNodes.Server alone = rig.nodes.server("gpu-a").up("llama");
        List<ExecutionRig.Run> runs = new ArrayList<>();
        for (int i = 0; i < 20; i++) {
            runs.add(rig.start("llama"));
        }
        ExecutionRig.awaitCalls(alone, 4);
        rig.pass(Duration.ofSeconds(2));
        rig.awaitWaiting(20);
        assertThat(rig.node("gpu-a").limitNow()).isEqualTo(1);

        rig.pass(Duration.ofSeconds(4));
        rig.awaitWaiting(20);
        assertThat(alone.calls()).hasSize(4);
        rig.pass(Duration.ofSeconds(2));
        ExecutionRig.awaitCalls(alone, 5);
        rig.pass(Duration.ofSeconds(2));
        rig.awaitWaiting(20);
        alone.onCall(call -> call.answer("Hi"));
        rig.passUntil(() -> runs.stream().allMatch(ExecutionRig.Run::isOver), () -> "they still wait");

        assertThat(runs).allSatisfy(run -> assertThat(run.outcome().event()).isInstanceOf(JobEvent.Completed.class));
        rig.assertNothingHeld();
    }

    @Test
    void failures_that_the_jobs_cause_leave_the_node_in_use() {
        ExecutionRig rig = new ExecutionRig(SETTINGS, TestSettings.node("gpu-a", "vllm", 4));
        FakeNodes.Server server = rig.nodes.server("gpu-a").up("llama");
        server.onCall(call -> call.fail(JobFailure.of(JobFailure.Code.INVALID_REQUEST, "no such role")));
        for (int i = 0; i < 30; i++) {
            assertThat(rig.start("llama").failure().code()).isEqualTo(JobFailure.Code.INVALID_REQUEST);
        }
        assertThat(rig.node("gpu-a").requests().breaker()).isEqualTo("closed");
    }
}
