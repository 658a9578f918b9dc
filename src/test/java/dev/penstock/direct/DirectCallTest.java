package dev.penstock.direct;

import static dev.penstock.direct.DirectRig.text;
import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.Answer;
import dev.penstock.job.EventMark;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.PromptJob;
import dev.penstock.job.Task;
import dev.penstock.job.TokenEvent;
import dev.penstock.job.Usage;
import dev.penstock.node.FakeNodes;
import dev.penstock.settings.read.TestSettings;
import dev.penstock.testkit.Conditions;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class DirectCallTest {
    private static final Map<String, String> A = TestSettings.node("a", "vllm", 1);
    private static final Map<String, String> B = TestSettings.node("b", "vllm", 1);
    private static final JobFailure BROKEN = JobFailure.of(JobFailure.Code.STREAM_BROKEN, "closed the connection");
    private static final Map<String, Object> TOOLS = Map.of("tools", List.of(Map.of("type", "function")));

    private static final Answer.Head HEAD = new Answer.Head("chatcmpl-job-1", 0, "llama", Task.CHAT);

    private static void awaitOutcome(DirectRig rig, EventMark.Kind kind) {
        Conditions.await(() -> rig.outcomes.size() == 1, () -> "" + rig.outcomes);
        assertThat(rig.outcomes.getFirst().kind()).isEqualTo(kind);
        rig.awaitNoCalls();
    }

    @Test
    void each_piece_leaves_at_once_and_the_end_has_the_whole_answer() throws InterruptedException {
        DirectRig rig = new DirectRig(A);
        rig.nodes.server("a").up("llama");
        DirectCall call = rig.stream();
        FakeNodes.Call node = rig.call("a", 1).say(text("Hel"));
        assertThat(call.next()).isEqualTo(new DirectCall.Next.Piece(HEAD, List.of(text("Hel"))));
        assertThat(call.node()).contains("a");
        assertThat(call.attempts()).isEqualTo(1);
        assertThat(call.rule()).isEmpty();
        // no time passes, so a piece that lingers would never come
        node.say(text("lo"));
        assertThat(call.next()).isEqualTo(new DirectCall.Next.Piece(HEAD, List.of(text("lo"))));
        node.say(new TokenEvent.Finish(0, "stop")).say(new TokenEvent.Spent(new Usage(3, 2)));
        node.say(new TokenEvent.End());

        DirectRig.Read rest = DirectRig.read(call);

        assertThat(rest.text()).isEmpty();
        assertThat(rest.answer()).isEqualTo("Hello");
        awaitOutcome(rig, EventMark.Kind.COMPLETED);
        assertThat(rig.meters
                        .get("penstock.jobs")
                        .tag("outcome", "completed")
                        .counter()
                        .count())
                .isEqualTo(1);
    }

    @Test
    void an_answer_that_is_not_streamed_comes_as_a_whole() throws InterruptedException {
        DirectRig rig = new DirectRig(A);
        rig.nodes.server("a").up("llama").onCall(call -> call.answer("Hello"));

        DirectRig.Read read = DirectRig.read(rig.start(rig.job(false, Map.of())));

        assertThat(read.deltas()).isEmpty();
        assertThat(read.answer()).isEqualTo("Hello");
        awaitOutcome(rig, EventMark.Kind.COMPLETED);
    }

    @Test
    void a_node_that_fails_before_the_first_piece_is_replaced_without_a_trace() throws InterruptedException {
        DirectRig rig = new DirectRig(A, B);
        rig.nodes.server("a").up("llama").onCall(call -> call.fail(BROKEN));
        rig.nodes.server("b").up("llama").onCall(call -> call.answer("Hello"));
        rig.nodes.server("b").down();
        DirectCall call = rig.stream();
        rig.call("a", 1);
        rig.nodes.server("b").up("llama");

        DirectRig.Read read = DirectRig.read(call);

        assertThat(read.text()).isEqualTo("Hello");
        assertThat(call.node()).contains("b");
        assertThat(call.attempts()).isEqualTo(2);
    }

    @Test
    void a_node_that_fails_in_mid_answer_is_replaced_and_the_text_goes_on_where_it_was() throws InterruptedException {
        DirectRig rig = new DirectRig(A, B);
        rig.nodes.server("a").up("llama");
        DirectCall call = rig.stream();
        rig.call("a", 1).say(text("Once upon")).fail(BROKEN);
        rig.nodes.server("b").up("llama");
        FakeNodes.Call second = rig.call("b", 1);
        assertThat(Objects.requireNonNull(second.prompt().published()).text()).isEqualTo("Once upon");
        second.answer(" a time");

        DirectRig.Read read = DirectRig.read(call);

        assertThat(read.text()).isEqualTo("Once upon a time");
        assertThat(read.answer()).isEqualTo("Once upon a time");
        awaitOutcome(rig, EventMark.Kind.COMPLETED);
    }

    @Test
    void an_answer_that_cannot_go_on_breaks_and_never_starts_over() throws InterruptedException {
        DirectRig rig = new DirectRig(A, B);
        rig.nodes.server("a").up("llama");
        DirectCall call = rig.start(rig.job(true, TOOLS));
        FakeNodes.Call first = rig.call("a", 1).say(text("Once"));
        rig.nodes.server("b").up("llama").onCall(other -> other.answer("wrong"));
        assertThat(call.next()).isInstanceOf(DirectCall.Next.Piece.class);

        first.fail(BROKEN);
        // the failed node may be tried again after its pause, and must be left out then too
        Conditions.await(
                () -> {
                    rig.pass(Duration.ofMillis(100));
                    return rig.outcomes.size() == 1;
                },
                () -> "no outcome");

        DirectRig.Read read = DirectRig.read(call);
        assertThat(read.text()).isEmpty();
        assertThat(read.failure().code()).isEqualTo(JobFailure.Code.STREAM_BROKEN);
        assertThat(read.failure().message()).isEqualTo("closed the connection");
        assertThat(rig.nodes.server("b").calls()).isEmpty();
        awaitOutcome(rig, EventMark.Kind.FAILED);
    }

    @Test
    void a_failure_that_no_attempt_can_help_reaches_the_caller() throws InterruptedException {
        DirectRig rig = new DirectRig(A);
        rig.nodes.server("a").up("other");

        DirectRig.Read read = DirectRig.read(rig.stream());

        assertThat(read.failure().code()).isEqualTo(JobFailure.Code.MODEL_NOT_FOUND);
        awaitOutcome(rig, EventMark.Kind.FAILED);
    }

    @Test
    void a_caller_that_leaves_ends_the_request_at_the_node() throws InterruptedException {
        DirectRig rig = new DirectRig(A);
        rig.nodes.server("a").up("llama");
        DirectCall call = rig.stream();
        FakeNodes.Call node = rig.call("a", 1).say(text("Once"));
        assertThat(call.next()).isInstanceOf(DirectCall.Next.Piece.class);

        call.leave();

        Conditions.await(() -> !node.isOpen(), () -> "the request goes on");
        assertThat(call.next()).isEqualTo(new DirectCall.Next.Left());
        awaitOutcome(rig, EventMark.Kind.CANCELLED);
    }

    @Test
    void a_caller_that_leaves_while_its_call_waits_takes_no_slot() throws InterruptedException {
        DirectRig rig = new DirectRig(A);
        rig.nodes.server("a").up("llama");
        DirectCall first = rig.stream();
        FakeNodes.Call node = rig.call("a", 1);
        DirectCall second = rig.stream();

        second.leave();
        node.answer("Hello");

        assertThat(DirectRig.read(first).answer()).isEqualTo("Hello");
        rig.awaitNoCalls();
        assertThat(rig.nodes.server("a").calls()).hasSize(1);
    }

    @Test
    void a_caller_that_reads_nothing_is_dropped_after_its_bound() throws InterruptedException {
        DirectRig rig = new DirectRig(A, Map.of("api.max-stream-bytes", "64K", "api.answer-timeout", "1s"));
        rig.nodes.server("a").up("llama");
        DirectCall call = rig.stream();
        AtomicInteger dropped = new AtomicInteger();
        call.whenDropped(dropped::incrementAndGet);
        FakeNodes.Call node = rig.call("a", 1);

        node.say(text("a".repeat(40_000)));
        Conditions.await(() -> call.attempts() == 1, () -> "no attempt");
        node.say(text("b".repeat(40_000)));

        Conditions.await(() -> dropped.get() == 1, () -> "not dropped");
        assertThat(call.next()).isEqualTo(new DirectCall.Next.Left());
        Conditions.await(() -> !node.isOpen(), () -> "the request goes on");
        awaitOutcome(rig, EventMark.Kind.CANCELLED);
    }

    @Test
    void a_drain_refuses_new_calls_and_lets_the_others_end() throws InterruptedException {
        DirectRig rig = new DirectRig(A);
        rig.nodes.server("a").up("llama");
        DirectCall running = rig.stream();
        FakeNodes.Call node = rig.call("a", 1).say(text("Once"));
        rig.calls.stopTaking();

        DirectRig.Read refused = DirectRig.read(rig.stream());
        node.answer(" upon");
        rig.calls.drain(Duration.ofMinutes(1));

        assertThat(refused.failure().code().httpStatus()).isEqualTo(503);
        assertThat(DirectRig.read(running).answer()).isEqualTo("Once upon");
        awaitOutcome(rig, EventMark.Kind.COMPLETED);
    }

    @Test
    void a_drain_that_takes_too_long_fails_the_remaining_calls() throws InterruptedException {
        DirectRig rig = new DirectRig(A);
        rig.nodes.server("a").up("llama");
        DirectCall running = rig.stream();
        FakeNodes.Call node = rig.call("a", 1).say(text("Once"));

        rig.calls.drain(Duration.ZERO);

        DirectRig.Read read = DirectRig.read(running);
        assertThat(read.failure()).isEqualTo(DirectCall.STOPPING);
        assertThat(node.isOpen()).isFalse();
        awaitOutcome(rig, EventMark.Kind.FAILED);
        assertThat(((JobEvent.Failed) rig.outcomes.getFirst()).failure()).isEqualTo(DirectCall.STOPPING);
    }

    @Test
    void a_job_whose_time_is_over_fails_with_a_timeout() throws InterruptedException {
        DirectRig rig = new DirectRig(A);
        rig.nodes.server("a").up("llama");
        PromptJob job = rig.job(true, Map.of());
        DirectCall call = rig.start(job);
        rig.call("a", 1).say(text("Once"));
        assertThat(call.next()).isInstanceOf(DirectCall.Next.Piece.class);

        Conditions.await(
                () -> {
                    rig.pass(Duration.ofMinutes(11));
                    return rig.outcomes.size() == 1;
                },
                () -> "no outcome");

        assertThat(DirectRig.read(call).failure().code().httpStatus()).isEqualTo(504);
    }
}
