package dev.penstock.execution;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.node.FakeNodes;
import dev.penstock.node.Node;
import dev.penstock.settings.Conditions;
import dev.penstock.settings.NodeSettings;
import dev.penstock.settings.Placing;
import dev.penstock.settings.Rule;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** How long a direct call waits for a node, and what its caller gets when the wait ends. */
@Timeout(60)
class CallWaitTest {
    private static final Map<String, String> ONE_TRY = Map.of("retries.max-attempts", "1");

    private static Node.Slot taken(ExecutionRig rig) {
        return Objects.requireNonNull(rig.node("gpu-b").tryAcquire(0, false));
    }

    private static double refused(ExecutionRig rig, String code) {
        return rig.count("penstock.calls.refused", "code", code);
    }

    @Test
    void a_call_waits_for_a_node_as_long_as_the_queue_allows() {
        ExecutionRig rig = new ExecutionRig(ExecutionRig.VLLM_B);
        rig.nodes.server("gpu-b").up("llama");
        Node.Slot held = taken(rig);
        ExecutionRig.Run call = rig.startCall(rig.job().model("llama"), Rule.NONE);
        ExecutionRig.Run job = rig.start("llama");
        rig.awaitWaitingCalls(1);
        rig.awaitWaiting(1);

        rig.pass(Duration.ofMillis(29_999));
        assertThat(call.isOver()).isFalse();
        rig.pass(Duration.ofMillis(1));

        assertThat(call.failure().code()).isEqualTo(JobFailure.Code.NODE_OVERLOADED);
        assertThat(call.failure().message())
                .isEqualTo("the request waited 30 s for a free slot of a node (penstock.timeouts.queue): gpu-b");
        assertThat(call.failure().again().after()).hasSeconds(2);
        assertThat(refused(rig, "node_overloaded")).isEqualTo(1);
        assertThat(job.isOver()).as("a job waits longer").isFalse();
        rig.nodes.server("gpu-b").onCall(node -> node.answer("Hi"));
        held.close();
        assertThat(job.outcome().event()).isInstanceOf(JobEvent.Completed.class);
        rig.assertNothingHeld();
    }

    @Test
    void the_queue_time_of_its_rule_goes_first() {
        ExecutionRig rig = new ExecutionRig(ExecutionRig.VLLM_B, Map.of("timeouts.queue", "1h"));
        rig.nodes.server("gpu-b").up("llama");
        taken(rig);
        Rule rule = new Rule(
                "it",
                Conditions.ANY,
                List.of(),
                Rule.Change.NOTHING,
                new NodeSettings.OwnTimeouts(
                        Optional.empty(), Optional.empty(), Optional.empty(), Optional.of(Duration.ofMillis(1_500))),
                Rule.OwnRetries.NONE,
                Placing.USUAL,
                Rule.Handling.NONE);
        ExecutionRig.Run call = rig.startCall(rig.job().model("llama"), rule);
        rig.awaitWaitingCalls(1);

        rig.pass(Duration.ofMillis(1_500));

        assertThat(call.failure().message()).startsWith("the request waited 1.5 s");
    }

    @Test
    void a_deadline_before_the_end_of_the_queue_time_ends_the_call() {
        ExecutionRig rig = new ExecutionRig(ExecutionRig.VLLM_B);
        rig.nodes.server("gpu-b").up("llama");
        taken(rig);
        ExecutionRig.Run call =
                rig.startCall(rig.job().deadlineIn(Duration.ofSeconds(5)).model("llama"), Rule.NONE);
        rig.awaitWaitingCalls(1);

        rig.pass(Duration.ofSeconds(5));

        assertThat(call.outcome().event()).isInstanceOf(JobEvent.Expired.class);
        assertThat(refused(rig, "node_overloaded")).isZero();
    }

    @Test
    void with_early_refusals_a_call_with_a_deadline_still_waits_no_longer_than_the_queue_allows() {
        ExecutionRig rig = new ExecutionRig(ExecutionRig.VLLM_B, Map.of("deadlines.refuse-early", "true"));
        rig.nodes.server("gpu-b").up("llama");
        taken(rig);
        ExecutionRig.Run call =
                rig.startCall(rig.job().deadlineIn(Duration.ofMinutes(10)).model("llama"), Rule.NONE);
        rig.awaitWaitingCalls(1);

        rig.pass(Duration.ofSeconds(30));

        assertThat(call.failure().code()).isEqualTo(JobFailure.Code.NODE_OVERLOADED);
    }

    @Test
    void a_call_without_a_node_fails_at_once_and_is_counted() {
        ExecutionRig rig = new ExecutionRig(ExecutionRig.VLLM);
        rig.nodes.server("gpu-a").up("llama").down();

        ExecutionRig.Run call = rig.startCall(rig.job().model("llama"), Rule.NONE);

        assertThat(call.failure().code()).isEqualTo(JobFailure.Code.NO_NODE);
        assertThat(refused(rig, "no_node")).isEqualTo(1);
        assertThat(refused(rig, "rate_limited")).isZero();
        assertThat(call.sink.names()).as("nothing started").doesNotContain("started");
    }

    @Test
    void a_job_that_no_node_can_serve_is_no_refused_call() {
        ExecutionRig rig = new ExecutionRig(ExecutionRig.VLLM);
        rig.nodes.server("gpu-a").up("llama");

        assertThat(rig.start("phi").failure().code()).isEqualTo(JobFailure.Code.MODEL_NOT_FOUND);
        assertThat(refused(rig, "no_node")).isZero();
        assertThat(rig.meters
                        .find("penstock.calls.refused")
                        .tag("code", "model_not_found")
                        .counter())
                .isNull();
    }

    @Test
    void after_a_failed_attempt_the_refusal_tells_why_it_failed() {
        ExecutionRig rig = new ExecutionRig(ExecutionRig.VLLM);
        FakeNodes.Server server = rig.nodes.server("gpu-a").up("llama");
        server.onCall(call -> {
            server.down();
            call.fail(ExecutionRig.BROKEN);
        });

        ExecutionRig.Run call = rig.startCall(rig.job().model("llama"), Rule.NONE);

        assertThat(call.failure().code()).isEqualTo(JobFailure.Code.NO_NODE);
        assertThat(call.failure().message()).endsWith(". Its last attempt failed: " + ExecutionRig.BROKEN.message());
        rig.assertNothingHeld();
    }

    @Test
    void a_call_is_never_deferred() {
        ExecutionRig rig = new ExecutionRig(
                ExecutionRig.VLLM_B, ExecutionRig.OLLAMA, ONE_TRY, Map.of("intake.slots", "1", "timeouts.queue", "1h"));
        rig.nodes.server("gpu-b").up("llama");
        rig.nodes.server("cpu-a").up("phi");
        taken(rig);
        List<ExecutionRig.Run> calls = List.of(
                rig.startCall(rig.job().model("llama"), Rule.NONE),
                rig.startCall(rig.job().model("llama"), Rule.NONE),
                rig.startCall(rig.job().model("llama"), Rule.NONE));
        rig.awaitWaitingCalls(3);

        rig.pass(Duration.ofMinutes(59));

        assertThat(calls).noneMatch(ExecutionRig.Run::isOver);
    }
}
