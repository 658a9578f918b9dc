package dev.penstock.execution;

import static dev.penstock.execution.ExecutionRig.text;
import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.PromptJob;
import dev.penstock.job.TokenEvent;
import dev.penstock.job.Usage;
import dev.penstock.node.FakeNodes;
import dev.penstock.node.Node;
import dev.penstock.settings.Rule;
import dev.penstock.settings.read.TestSettings;
import dev.penstock.testkit.Conditions;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** An attempt whose node is silent asks a second node, and the first of the two that speaks goes on. */
@Timeout(60)
class HedgedAttemptTest {
    private static final Duration AFTER = Duration.ofMillis(300);
    private static final JobFailure REFUSED = JobFailure.of(JobFailure.Code.NODE_ERROR, "out of memory");

    /** The pools are in order, so the first request of each job is at node a. */
    private final ExecutionRig rig = new ExecutionRig(
            TestSettings.node("a", "vllm", 4),
            TestSettings.node("b", "ollama", 1),
            Map.of("breaker.minimum", "64", "breaker.window", "64"));

    @BeforeEach
    void both_nodes_are_up() {
        rig.nodes.server("a").up("llama");
        rig.nodes.server("b").up("llama");
    }

    private ExecutionRig.Run start(@Nullable Duration after) {
        return start(after, new RecordingSink());
    }

    private ExecutionRig.Run start(@Nullable Duration after, RecordingSink sink) {
        PromptJob job = rig.job().model("llama");
        int before = rig.nodes.server("a").calls().size();
        ExecutionRig.Run run = rig.start(
                new Work(job, ExecutionRig.rule(handling(after)), ExecutionRig.RECORD, null, 0, 0, 0, null), sink);
        ExecutionRig.awaitCalls(rig.nodes.server("a"), before + 1);
        return run;
    }

    private static Rule.Handling handling(@Nullable Duration after) {
        return new Rule.Handling(Optional.empty(), Optional.of(new Rule.Hedge(Optional.ofNullable(after))), false);
    }

    private FakeNodes.Call first() {
        return rig.nodes.server("a").calls().getLast();
    }

    /** Lets the time pass after which the second node is asked, and returns its request. */
    private FakeNodes.Call second() {
        rig.pass(AFTER);
        return ExecutionRig.awaitCalls(rig.nodes.server("b"), 1).getFirst();
    }

    private void assertOver() {
        Conditions.await(
                () -> rig.nodes.all().stream().allMatch(node -> node.inFlight() == 0), () -> "a slot is still held");
        assertThat(rig.nodes.server("a").calls()).noneMatch(FakeNodes.Call::isOpen);
        assertThat(rig.nodes.server("b").calls()).noneMatch(FakeNodes.Call::isOpen);
    }

    private double attempts(String node, String outcome) {
        return rig.count("penstock.attempts", "node", node, "outcome", outcome);
    }

    @Test
    void the_second_node_speaks_first_and_goes_on() {
        ExecutionRig.Run run = start(AFTER);
        FakeNodes.Call second = second();
        assertThat(run.sink.names()).as("before a token").isEmpty();

        second.answer("Hi");

        JobEvent.Completed completed = (JobEvent.Completed) run.outcome().event();
        assertThat(run.sink.names()).containsExactly("started 1", "chunk 1", "completed 1");
        assertThat(run.sink.nodes()).containsExactly("b");
        assertThat(Objects.requireNonNull(completed.execution()).node()).isEqualTo("b");
        assertThat(completed.execution().firstTokenMillis()).isEqualTo(AFTER.toMillis());
        assertOver();
        assertThat(attempts("a", "hedged")).isEqualTo(1);
        assertThat(attempts("b", "completed")).isEqualTo(1);
        assertThat(rig.count("penstock.hedged")).isEqualTo(1);
        assertThat(rig.node("a").pace().firstTokenMillis(1))
                .as("the slow answer counts with the time so far")
                .isEqualTo(AFTER.toMillis());
        assertThat(run.execution.failures()).isZero();
    }

    @Test
    void the_first_node_speaks_first_and_goes_on() {
        ExecutionRig.Run run = start(AFTER);
        FakeNodes.Call second = second();

        first().answer("Hi");

        run.result();
        assertThat(run.sink.names()).containsExactly("started 1", "chunk 1", "completed 1");
        assertThat(run.sink.nodes()).containsExactly("a");
        assertOver();
        assertThat(second.isOpen()).isFalse();
        assertThat(attempts("b", "hedged")).isEqualTo(1);
        assertThat(attempts("a", "completed")).isEqualTo(1);
        assertThat(rig.node("b").pace().firstTokenMillis(1)).isNull();
    }

    @Test
    void a_first_node_that_speaks_in_time_is_the_only_one() {
        ExecutionRig.Run run = start(AFTER);
        rig.pass(AFTER.minusMillis(1));
        first().say(text("Hi"));
        Conditions.await(() -> run.sink.names().size() == 2, () -> "no chunk");

        rig.pass(AFTER);
        first().answer("!");

        run.result();
        assertThat(run.sink.nodes()).containsExactly("a");
        assertThat(rig.nodes.server("b").calls()).isEmpty();
        assertThat(rig.count("penstock.hedged")).isZero();
    }

    @Test
    void what_the_slower_node_sent_before_its_first_token_is_in_no_chunk() {
        ExecutionRig.Run run = start(AFTER);
        first().say(new TokenEvent.Model("slow"))
                .say(new TokenEvent.Role(0))
                .say(new TokenEvent.Spent(new Usage(9, 0)));
        FakeNodes.Call second = second();

        second.say(new TokenEvent.Role(0))
                .say(text("Hi"))
                .say(new TokenEvent.Spent(new Usage(5, 1)))
                .say(new TokenEvent.End());

        JobEvent.Completed completed = (JobEvent.Completed) run.outcome().event();
        JobEvent.Chunk chunk = (JobEvent.Chunk) run.sink.events().get(1);
        assertThat(chunk.deltas()).containsExactly(new TokenEvent.Role(0), text("Hi"));
        assertThat(chunk.head().model()).isEqualTo("llama");
        assertThat(completed.answer().usage()).isEqualTo(new Usage(5, 1));
        assertThat(Objects.requireNonNull(completed.execution()).usageAllAttempts())
                .as("with what the slower node reported")
                .isEqualTo(new Usage(14, 1));
        assertOver();
    }

    @Test
    void if_the_first_request_fails_the_second_one_goes_on() {
        ExecutionRig.Run run = start(AFTER);
        FakeNodes.Call second = second();

        first().fail(ExecutionRig.BROKEN);
        Conditions.await(() -> !first().isOpen(), () -> "the first request is open");
        assertThat(run.sink.names()).isEmpty();
        second.answer("Hi");

        run.result();
        assertThat(run.sink.names()).containsExactly("started 1", "chunk 1", "completed 1");
        assertThat(run.sink.nodes()).containsExactly("b");
        assertThat(attempts("a", "stream_broken")).isEqualTo(1);
        assertOver();
    }

    @Test
    void if_the_second_request_fails_the_first_one_goes_on() {
        ExecutionRig.Run run = start(AFTER);
        second().fail(REFUSED);
        Conditions.await(() -> rig.node("b").inFlight() == 0, () -> "the second request is open");

        first().answer("Hi");

        run.result();
        assertThat(run.sink.names()).containsExactly("started 1", "chunk 1", "completed 1");
        assertThat(run.sink.nodes()).containsExactly("a");
        assertThat(attempts("b", "node_error")).isEqualTo(1);
        assertOver();
    }

    @Test
    void if_both_fail_the_attempt_fails_as_the_first_one_and_the_next_one_avoids_both() {
        ExecutionRig rig3 = new ExecutionRig(
                TestSettings.node("a", "vllm", 4),
                TestSettings.node("b", "ollama", 1),
                TestSettings.node("c", "openai-compatible", 1),
                Map.of("nodes.c.pool", "slow", "retries.backoff", "1h"));
        List.of("a", "b", "c").forEach(node -> rig3.nodes.server(node).up("llama"));
        ExecutionRig.Run run = rig3.start(new Work(
                rig3.job().model("llama"),
                ExecutionRig.rule(handling(AFTER)),
                ExecutionRig.RECORD,
                null,
                0,
                0,
                0,
                null));
        FakeNodes.Call first =
                ExecutionRig.awaitCalls(rig3.nodes.server("a"), 1).getFirst();
        rig3.pass(AFTER);
        FakeNodes.Call second =
                ExecutionRig.awaitCalls(rig3.nodes.server("b"), 1).getFirst();

        first.fail(ExecutionRig.BROKEN);
        second.fail(REFUSED);

        ExecutionRig.awaitCalls(rig3.nodes.server("c"), 1).getFirst().answer("Hi");
        run.result();
        assertThat(run.sink.names()).containsExactly("started 1", "started 2", "chunk 2", "completed 2");
        assertThat(run.sink.nodes()).containsExactly("a", "c");
        assertThat(run.execution.failures()).as("one attempt").isEqualTo(1);
    }

    @Test
    void without_a_free_slot_at_another_node_the_first_one_stays_alone() {
        Node.Slot taken = Objects.requireNonNull(rig.node("b").tryAcquire(0, false));
        ExecutionRig.Run run = start(AFTER);

        rig.pass(AFTER.multipliedBy(10));
        first().answer("Hi");

        run.result();
        assertThat(run.sink.nodes()).containsExactly("a");
        assertThat(rig.nodes.server("b").calls()).isEmpty();
        assertThat(rig.count("penstock.hedged")).isZero();
        taken.close();
    }

    @Test
    void a_job_that_may_have_crashed_its_process_starts_before_its_request_and_is_not_hedged() {
        RecordingSink sink = new RecordingSink();
        sink.startsLate = false;
        ExecutionRig.Run run = start(AFTER, sink);
        assertThat(sink.names()).containsExactly("started 1");

        rig.pass(AFTER.multipliedBy(2));
        first().answer("Hi");

        run.result();
        assertThat(rig.nodes.server("b").calls()).isEmpty();
    }

    @Test
    void a_cancelled_job_closes_both_requests() {
        ExecutionRig.Run run = start(AFTER);
        FakeNodes.Call second = second();

        run.signal.stop(StopSignal.Reason.CANCELLED);

        run.result();
        assertThat(run.sink.names()).containsExactly("started 1", "cancelled 1");
        assertOver();
        assertThat(second.isOpen()).isFalse();
    }

    @Test
    void a_run_whose_lock_is_lost_before_a_token_leaves_no_trace() {
        ExecutionRig.Run run = start(AFTER);
        second();

        run.signal.stop(StopSignal.Reason.LOCK_LOST);

        assertThat(run.result()).isInstanceOf(Execution.Result.Released.class);
        assertThat(run.sink.names()).isEmpty();
        assertThat(run.execution.firstAttempt()).isZero();
        assertThat(run.execution.lastAttempt()).isZero();
        assertOver();
    }

    @Test
    void the_jobs_time_ends_both_requests() {
        PromptJob job = rig.job().timeout(Duration.ofSeconds(1)).model("llama");
        ExecutionRig.Run run =
                rig.start(new Work(job, ExecutionRig.rule(handling(AFTER)), ExecutionRig.RECORD, null, 0, 0, 0, null));
        ExecutionRig.awaitCalls(rig.nodes.server("a"), 1);
        second();

        rig.pass(Duration.ofSeconds(1));

        assertThat(run.failure().code()).isEqualTo(JobFailure.Code.TIMEOUT);
        assertThat(run.sink.names()).containsExactly("started 1", "failed 1");
        assertOver();
    }

    @Test
    void without_a_duration_the_nodes_own_95th_percentile_decides_once_it_has_enough_answers() {
        for (int i = 0; i < 20; i++) {
            ExecutionRig.Run run = start(null);
            assertThat(run.sink.names()).as("not hedged").containsExactly("started 1");
            rig.pass(Duration.ofMillis(i == 19 ? 200 : 10));
            first().answer("Hi");
            run.result();
        }
        assertThat(rig.nodes.server("b").calls()).isEmpty();

        ExecutionRig.Run run = start(null);
        rig.pass(Duration.ofMillis(199));
        assertThat(rig.nodes.server("b").calls()).isEmpty();
        rig.pass(Duration.ofMillis(1));
        ExecutionRig.awaitCalls(rig.nodes.server("b"), 1).getFirst().answer("Hi");

        run.result();
        assertThat(run.sink.nodes()).containsExactly("b");
    }

    @Test
    void each_node_has_its_own_time_for_the_first_token() {
        ExecutionRig short1 = new ExecutionRig(
                TestSettings.node("a", "vllm", 4),
                TestSettings.node("b", "ollama", 1),
                Map.of("timeouts.first-token", "1s", "retries.max-attempts", "1"));
        List.of("a", "b").forEach(node -> short1.nodes.server(node).up("llama"));
        ExecutionRig.Run run = short1.start(new Work(
                short1.job().attempts(null).model("llama"),
                ExecutionRig.rule(handling(AFTER)),
                ExecutionRig.RECORD,
                null,
                0,
                0,
                0,
                null));
        ExecutionRig.awaitCalls(short1.nodes.server("a"), 1);
        short1.pass(AFTER);
        FakeNodes.Call second =
                ExecutionRig.awaitCalls(short1.nodes.server("b"), 1).getFirst();

        short1.pass(Duration.ofMillis(700));
        Conditions.await(() -> short1.node("a").inFlight() == 0, () -> "the first request is open");
        assertThat(second.isOpen()).isTrue();
        short1.pass(Duration.ofMillis(300));

        assertThat(run.failure().code()).isEqualTo(JobFailure.Code.FIRST_TOKEN_TIMEOUT);
        assertThat(run.failure().node()).isEqualTo("a");
    }
}
