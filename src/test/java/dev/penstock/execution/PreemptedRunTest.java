package dev.penstock.execution;

import static dev.penstock.execution.ExecutionRig.text;
import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.Answer;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.Priority;
import dev.penstock.job.PublishedText;
import dev.penstock.job.TokenEvent;
import dev.penstock.node.FakeNodes;
import dev.penstock.settings.Rule;
import dev.penstock.settings.Settings;
import dev.penstock.settings.read.TestSettings;
import dev.penstock.testkit.Conditions;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A running job of low priority gives its slot to a waiting job whose rule says so, and goes on later. */
@Timeout(60)
class PreemptedRunTest {
    private static final Map<String, String> RULE = Map.of("routes[0].name", "it", "routes[0].preempt", "true");
    private static final Rule.Handling PREEMPTS = new Rule.Handling(Optional.empty(), Optional.empty(), true);

    private final ExecutionRig rig;

    PreemptedRunTest() {
        rig = rig(Map.of());
    }

    private static ExecutionRig rig(Map<String, String> more) {
        ExecutionRig rig = new ExecutionRig(TestSettings.node("a", "vllm", 1), RULE, more);
        rig.nodes.server("a").up("llama");
        return rig;
    }

    private static ExecutionRig.Run start(ExecutionRig rig, ExecutionRig.JobForm job, Rule.Handling handling) {
        return rig.start(
                new Work(job.model("llama"), ExecutionRig.rule(handling), ExecutionRig.RECORD, null, 0, 0, 0, null));
    }

    private ExecutionRig.Run low() {
        return start(rig, rig.job().priority(Priority.LOW), Rule.Handling.NONE);
    }

    private ExecutionRig.Run high() {
        return start(rig, rig.job().priority(Priority.HIGH), PREEMPTS);
    }

    private FakeNodes.Call call(int number) {
        return ExecutionRig.awaitCalls(rig.nodes.server("a"), number).get(number - 1);
    }

    private static void awaitChunks(ExecutionRig.Run run, int count) {
        Conditions.await(
                () -> run.sink.events().stream()
                                .filter(JobEvent.Chunk.class::isInstance)
                                .count()
                        == count,
                () -> "chunks: " + run.sink.names());
    }

    private static String textOf(Answer answer) {
        return Objects.requireNonNull(answer.choices().getFirst().text().get(TokenEvent.Field.CONTENT));
    }

    private static String chunks(ExecutionRig.Run run) {
        StringBuilder text = new StringBuilder();
        for (JobEvent event : run.sink.events()) {
            if (event instanceof JobEvent.Chunk chunk) {
                chunk.deltas().forEach(delta -> text.append(delta instanceof TokenEvent.Text one ? one.text() : ""));
            }
        }
        return text.toString();
    }

    @Test
    void the_waiting_job_gets_the_slot_and_the_other_one_goes_on_where_it_was() {
        ExecutionRig.Run low = low();
        FakeNodes.Call begun = call(1).say(text("Once")).say(text(" upon"));
        awaitChunks(low, 1);

        ExecutionRig.Run high = high();
        FakeNodes.Call second = call(2);
        assertThat(begun.isOpen()).isFalse();
        second.answer("at once");
        high.result();
        FakeNodes.Call rest = call(3);
        PublishedText published = Objects.requireNonNull(rest.prompt().published());
        rest.answer(" a time");

        JobEvent.Completed completed = (JobEvent.Completed) low.outcome().event();
        assertThat(published.text()).isEqualTo("Once upon");
        assertThat(textOf(completed.answer())).isEqualTo("Once upon a time");
        assertThat(chunks(low)).isEqualTo("Once upon a time");
        JobEvent.Started second2 = low.sink.events().stream()
                .filter(JobEvent.Started.class::isInstance)
                .map(JobEvent.Started.class::cast)
                .toList()
                .getLast();
        assertThat(second2.resumedFrom()).isEqualTo(published.last());
        assertThat(high.sink.names()).containsExactly("started 1", "chunk 1", "completed 1");
        assertThat(low.execution.failures()).isZero();
        assertThat(low.ownerAsked).hasValue(1);
        assertThat(rig.count("penstock.preempted")).isEqualTo(1);
        assertThat(rig.count("penstock.attempts", "node", "a", "outcome", "preempted"))
                .isEqualTo(1);
        assertThat(rig.count("penstock.failovers", "kind", "continued"))
                .as("no node failed")
                .isZero();
        assertThat(rig.node("a").requests().breaker()).isEqualTo("closed");
        rig.assertNothingHeld();
    }

    @Test
    void a_job_that_has_not_spoken_starts_over() {
        ExecutionRig.Run low = low();
        call(1);

        ExecutionRig.Run high = high();
        call(2).answer("at once");
        high.result();
        call(3).answer("later");

        low.result();
        assertThat(low.sink.names()).containsExactly("started 1", "started 2", "chunk 2", "completed 2");
    }

    @Test
    void without_the_rule_a_job_of_high_priority_waits() {
        ExecutionRig.Run low = low();
        call(1).say(text("Once"));
        awaitChunks(low, 1);
        ExecutionRig.Run high = start(rig, rig.job().priority(Priority.HIGH), Rule.Handling.NONE);
        Conditions.await(high.execution::isWaiting, () -> "it does not wait");

        call(1).answer(" upon");

        low.result();
        call(2).answer("then");
        high.result();
        assertThat(low.sink.names().getLast()).isEqualTo("completed 1");
        assertThat(rig.count("penstock.preempted")).isZero();
    }

    @Test
    void an_answer_that_cannot_be_continued_runs_to_its_end() {
        ExecutionRig.Run low = start(
                rig,
                rig.job().priority(Priority.LOW).with("tools", List.of(Map.of("type", "function"))),
                Rule.Handling.NONE);
        call(1).say(text("Once"));
        awaitChunks(low, 1);
        ExecutionRig.Run high = high();

        rig.pass(Duration.ofSeconds(1));
        assertThat(call(1).isOpen()).isTrue();
        call(1).answer(" upon");

        low.result();
        call(2).answer("then");
        high.result();
        assertThat(low.sink.names().getLast()).isEqualTo("completed 1");
    }

    @Test
    void a_text_that_ends_inside_a_code_point_gets_one_more_token_first() {
        ExecutionRig.Run low = low();
        call(1).say(text("wave \ud83c"));
        awaitChunks(low, 1);

        ExecutionRig.Run high = high();
        rig.pass(Duration.ofSeconds(1));
        assertThat(call(1).isOpen()).isTrue();
        call(1).say(text("\udf0a"));
        call(2).answer("at once");
        high.result();
        FakeNodes.Call rest = call(3);
        assertThat(Objects.requireNonNull(rest.prompt().published()).text()).isEqualTo("wave \ud83c\udf0a");
        rest.answer("!");
        assertThat(chunks(low)).startsWith("wave");
        assertThat(textOf(((JobEvent.Completed) low.outcome().event()).answer()))
                .isEqualTo("wave \ud83c\udf0a!");
    }

    @Test
    void a_job_is_stopped_three_times_at_most() {
        ExecutionRig.Run low = low();
        for (int time = 0; time < 3; time++) {
            FakeNodes.Call part = call(1 + 2 * time);
            part.say(text("part " + time + " "));
            awaitChunks(low, time + 1);
            ExecutionRig.Run high = high();
            call(2 + 2 * time).answer("at once");
            high.result();
        }
        FakeNodes.Call last = call(7);
        last.say(text("part 3 "));
        awaitChunks(low, 4);
        ExecutionRig.Run patient = high();
        rig.pass(Duration.ofSeconds(1));
        assertThat(last.isOpen()).isTrue();

        last.answer("the end");

        low.result();
        call(8).answer("after all");
        patient.result();
        assertThat(chunks(low)).isEqualTo("part 0 part 1 part 2 part 3 the end");
        assertThat(low.execution.lastAttempt()).isEqualTo(4);
        assertThat(rig.count("penstock.preempted")).isEqualTo(3);
    }

    @Test
    void if_the_replicas_slots_are_what_is_scarce_the_run_gives_back_its_own() {
        ExecutionRig two = new ExecutionRig(TestSettings.node("a", "vllm", 4), RULE, Map.of("intake.slots", "1"));
        two.nodes.server("a").up("llama");
        ExecutionRig.Run low = start(two, two.job().priority(Priority.LOW), Rule.Handling.NONE);
        ExecutionRig.awaitCalls(two.nodes.server("a"), 1).getFirst().say(text("Once"));
        awaitChunks(low, 1);

        ExecutionRig.Run high = start(two, two.job().priority(Priority.HIGH), PREEMPTS);
        FakeNodes.Call second =
                ExecutionRig.awaitCalls(two.nodes.server("a"), 2).getLast();
        assertThat(low.execution.isWaiting()).isTrue();
        assertThat(two.scheduler.slotsLeft("prompt-jobs")).isZero();
        second.answer("at once");
        high.result();
        ExecutionRig.awaitCalls(two.nodes.server("a"), 3).getLast().answer(" more");

        low.result();
        assertThat(chunks(low)).isEqualTo("Once more");
        Conditions.await(() -> two.scheduler.slotsLeft("prompt-jobs") == 1, () -> "a slot is held");
    }

    @Test
    void a_preempted_job_that_is_cancelled_while_it_waits_ends_with_its_own_attempt_number() {
        ExecutionRig.Run low = low();
        call(1).say(text("Once"));
        awaitChunks(low, 1);
        ExecutionRig.Run high = high();
        call(2);
        Conditions.await(low.execution::isWaiting, () -> "it does not wait");

        low.signal.stop(StopSignal.Reason.CANCELLED);

        low.result();
        assertThat(low.sink.names()).containsExactly("started 1", "chunk 1", "cancelled 2");
        call(2).answer("at once");
        high.result();
    }

    @Test
    void a_preempted_job_that_is_handed_back_leaves_its_attempt_to_the_next_run() {
        ExecutionRig.Run low = low();
        call(1).say(text("Once"));
        awaitChunks(low, 1);
        ExecutionRig.Run high = high();
        call(2);
        Conditions.await(low.execution::isWaiting, () -> "it does not wait");

        low.signal.stop(StopSignal.Reason.SHUTDOWN);

        assertThat(low.result()).isInstanceOf(Execution.Result.Released.class);
        assertThat(low.execution.lastAttempt()).isEqualTo(1);
        call(2).answer("at once");
        high.result();
    }

    @Test
    void a_preempted_job_whose_lock_is_lost_makes_no_further_attempt() {
        ExecutionRig.Run low = low();
        call(1).say(text("Once"));
        awaitChunks(low, 1);
        low.owned = false;

        ExecutionRig.Run high = high();
        call(2).answer("at once");

        high.result();
        assertThat(low.result()).isInstanceOf(Execution.Result.Released.class);
    }

    @Test
    void the_continue_of_a_rule_overrides_the_services() {
        ExecutionRig never = rig(Map.of("continue", "never", "retries.backoff", "1ms"));
        never.nodes.server("a").onCall(call -> {
            if (call.prompt().published() == null) {
                call.say(text("Once"));
                call.fail(JobFailure.of(JobFailure.Code.STREAM_BROKEN, "closed the connection"));
            } else {
                call.answer(" more");
            }
        });

        ExecutionRig.Run run = start(
                never, never.job(), new Rule.Handling(Optional.of(Settings.Continuing.ANY), Optional.empty(), false));
        never.passUntil(run::isOver, () -> "it has not ended");

        assertThat(chunks(run)).isEqualTo("Once more");

        ExecutionRig.Run other = start(never, never.job().attempts(2), Rule.Handling.NONE);
        never.passUntil(other::isOver, () -> "it has not ended");
        assertThat(other.failure().code()).isEqualTo(JobFailure.Code.STREAM_BROKEN);
    }
}
