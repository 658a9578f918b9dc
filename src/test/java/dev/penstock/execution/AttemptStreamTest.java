package dev.penstock.execution;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.execution.AttemptStream.End;
import dev.penstock.execution.AttemptStream.Progress;
import dev.penstock.execution.call.Asked;
import dev.penstock.execution.call.Hedge;
import dev.penstock.execution.call.NodeCall;
import dev.penstock.job.Answer;
import dev.penstock.job.JobFailure;
import dev.penstock.job.PromptJob;
import dev.penstock.job.Task;
import dev.penstock.job.TokenEvent;
import dev.penstock.node.upstream.TokenStream;
import dev.penstock.schedule.preempt.RunningAttempt;
import dev.penstock.settings.Rule;
import dev.penstock.settings.Settings;
import dev.penstock.settings.read.TestSettings;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What an attempt yields, and when: over a stream whose events come at set times. */
@Timeout(60)
class AttemptStreamTest {
    private static final JobFailure CLOSED = JobFailure.of(JobFailure.Code.STREAM_BROKEN, "closed the connection");

    private final ExecutionRig rig = new ExecutionRig(
            TestSettings.node("gpu-a", "vllm", 4),
            Map.of(
                    "timeouts.first-token",
                    "30s",
                    "timeouts.idle",
                    "10s",
                    "replies.chunk-linger",
                    "50ms",
                    "replies.chunk-max-chars",
                    "10"));
    private final StopSignal signal = new StopSignal();
    private final Script script = new Script();

    /** A stream that lets time pass until its next event. */
    private final class Script implements TokenStream {
        private final Deque<Step> steps = new ArrayDeque<>();
        private boolean closed;
        private int woken;

        /** @param event null if only something happens */
        private record Step(long millis, @Nullable TokenEvent event, Runnable happens) {}

        Script at(long millis, TokenEvent event) {
            steps.add(new Step(millis, event, () -> {}));
            return this;
        }

        Script at(long millis, Runnable happens) {
            steps.add(new Step(millis, null, happens));
            return this;
        }

        @Override
        public List<String> ignoredParameters() {
            return List.of("seed");
        }

        @Override
        public @Nullable TokenEvent next(long nanos, int chars) {
            long now = rig.time.nanos();
            rig.time.pass(Duration.ofNanos(Math.max(0, wakesAt(now + nanos, chars) - now)));
            Step step = steps.peek();
            if (step == null || step.millis() * 1_000_000 > rig.time.nanos()) {
                return null;
            }
            steps.remove();
            step.happens().run();
            return step.event();
        }

        /** The reader sleeps until there are so many characters, or there is something else. */
        private long wakesAt(long end, int chars) {
            int sum = 0;
            for (Step step : steps) {
                if (step.millis() * 1_000_000 > end) {
                    break;
                }
                sum += step.event() instanceof TokenEvent.Text text ? text.chars() : Integer.MAX_VALUE / 2;
                if (sum >= chars) {
                    return step.millis() * 1_000_000;
                }
            }
            return end;
        }

        @Override
        public void wake() {
            woken++;
        }

        @Override
        public void close() {
            closed = true;
        }
    }

    /** What came, and when. */
    private record Seen(long millis, Progress progress) {
        @Override
        public String toString() {
            return millis
                    + switch (progress) {
                        case Progress.Spoke() -> " spoke";
                        case Progress.Chunk(Answer.Head _, List<TokenEvent> deltas) -> " chunk " + textOf(deltas);
                        case Progress.Ended(End end) -> " " + end.getClass().getSimpleName();
                    };
        }
    }

    private AttemptStream attempt(PromptJob job) {
        return attempt(job, Duration.ofMinutes(10));
    }

    private AttemptStream attempt(PromptJob job, Duration atMost) {
        rig.nodes.server("gpu-a").up("llama").answers(script);
        return new AttemptStream(
                new NodeCall(Objects.requireNonNull(rig.node("gpu-a").tryAcquire(0, false)), "llama"),
                new Asked(job, Rule.NONE, null),
                new Answer.Head("chatcmpl-1", 0, "llama", job.task()),
                new GivingWay(
                        Hedge.NEVER,
                        new RunningAttempt("gpu-a"),
                        new ContinuePlan(Settings.Continuing.NEVER, Map.of()),
                        false),
                new Transcript(false),
                signal,
                atMost,
                rig.context);
    }

    private List<Seen> all(AttemptStream attempt) throws InterruptedException {
        List<Seen> seen = new ArrayList<>();
        try (attempt) {
            do {
                Progress progress = attempt.next();
                seen.add(new Seen(rig.time.nanos() / 1_000_000, progress));
            } while (!(seen.getLast().progress() instanceof Progress.Ended));
        }
        return seen;
    }

    private List<String> words(AttemptStream attempt) throws InterruptedException {
        return all(attempt).stream().map(Seen::toString).toList();
    }

    private static End end(List<Seen> seen) {
        return ((Progress.Ended) seen.getLast().progress()).end();
    }

    private static String textOf(List<TokenEvent> deltas) {
        StringBuilder text = new StringBuilder();
        for (TokenEvent delta : deltas) {
            if (delta instanceof TokenEvent.Text piece) {
                text.append(piece.text());
            }
        }
        return text.toString();
    }

    private static TokenEvent text(String text) {
        return new TokenEvent.Text(0, TokenEvent.Field.CONTENT, text);
    }

    private PromptJob job() {
        return rig.job().model("llama");
    }

    @Test
    void the_first_text_is_a_chunk_at_once_and_later_text_after_the_linger() throws Exception {
        script.at(10, text("a")).at(20, text("b")).at(40, text("c")).at(100, new TokenEvent.End());

        assertThat(words(attempt(job()))).containsExactly("10 chunk a", "70 chunk bc", "100 Whole");
    }

    @Test
    void a_chunk_that_is_due_takes_along_what_has_arrived() throws Exception {
        script.at(10, text("a")).at(10, text("b")).at(10, text("c")).at(60, new TokenEvent.End());

        assertThat(words(attempt(job()))).containsExactly("10 chunk abc", "60 Whole");
    }

    @Test
    void enough_text_is_a_chunk_at_once() throws Exception {
        script.at(10, text("a"))
                .at(20, text("0123456"))
                .at(30, text("789"))
                .at(30, text("x"))
                .at(31, new TokenEvent.End());

        assertThat(words(attempt(job())))
                .containsExactly("10 chunk a", "30 chunk 0123456789", "31 chunk x", "31 Whole");
    }

    @Test
    void text_that_waits_is_a_chunk_before_the_end_and_the_end_stays() throws Exception {
        script.at(5, text("a"))
                .at(6, text("b"))
                .at(6, new TokenEvent.Finish(0, "stop"))
                .at(7, new TokenEvent.End());
        AttemptStream attempt = attempt(job());

        List<Seen> seen = all(attempt);

        assertThat(seen.stream().map(Seen::toString)).containsExactly("5 chunk a", "7 chunk b", "7 Whole");
        assertThat(attempt.next()).isEqualTo(seen.getLast().progress());
        Answer answer = ((End.Whole) end(seen)).answer();
        assertThat(answer.choices().getFirst().text()).containsValue("ab");
        assertThat(answer.choices().getFirst().finishReason()).isEqualTo("stop");
    }

    @Test
    void a_job_without_chunks_yields_its_end_alone() throws Exception {
        script.at(5, text("0123456789")).at(90, text("b")).at(95, new TokenEvent.End());

        List<Seen> seen = all(attempt(rig.job().withoutChunks().model("llama")));

        assertThat(seen.stream().map(Seen::toString)).containsExactly("95 Whole");
        assertThat(((End.Whole) end(seen)).answer().chars()).isEqualTo(11);
    }

    @Test
    void chunks_and_answer_name_the_model_that_the_server_reports() throws Exception {
        script.at(5, new TokenEvent.Model("llama-2"))
                .at(5, new TokenEvent.Role(0))
                .at(6, text("a"))
                .at(7, new TokenEvent.End());
        AttemptStream attempt = attempt(job());
        assertThat(attempt.model()).isEqualTo("llama");

        List<Seen> seen = all(attempt);

        assertThat(((Progress.Chunk) seen.getFirst().progress()).head().model()).isEqualTo("llama-2");
        assertThat(((End.Whole) end(seen)).answer().head().model()).isEqualTo("llama-2");
        assertThat(attempt.model()).isEqualTo("llama-2");
    }

    @Test
    void the_figures_are_of_the_tokens() throws Exception {
        script.at(5, new TokenEvent.Role(0)).at(30, text("a")).at(80, text("b")).at(95, new TokenEvent.End());
        AttemptStream attempt = attempt(job());
        assertThat(attempt.firstTokenMillis()).isNull();
        assertThat(attempt.streamMillis()).isZero();
        assertThat(attempt.ignoredParameters()).isEmpty();

        all(attempt);

        assertThat(attempt.firstTokenMillis()).isEqualTo(30);
        assertThat(attempt.streamMillis()).isEqualTo(50);
        assertThat(attempt.ignoredParameters()).containsExactly("seed");
        assertThat(script.closed).isTrue();
    }

    @Test
    void a_node_that_sends_no_token_in_time_fails_the_attempt() throws Exception {
        List<Seen> seen = all(attempt(job()));

        JobFailure failure = ((End.Failed) end(seen)).failure();
        assertThat(seen.getLast().millis()).isEqualTo(30_000);
        assertThat(failure.code()).isEqualTo(JobFailure.Code.FIRST_TOKEN_TIMEOUT);
        assertThat(failure.node()).isEqualTo("gpu-a");
        assertThat(script.closed).isTrue();
    }

    @Test
    void a_node_that_is_silent_in_mid_stream_fails_the_attempt() throws Exception {
        script.at(100, text("a")).at(9_000, text("b"));

        List<Seen> seen = all(attempt(job()));

        assertThat(seen.stream().map(Seen::toString)).containsExactly("100 chunk a", "9050 chunk b", "19000 Failed");
        assertThat(((End.Failed) end(seen)).failure().code()).isEqualTo(JobFailure.Code.IDLE_TIMEOUT);
    }

    @Test
    void the_jobs_own_time_ends_the_attempt() throws Exception {
        script.at(100, text("a")).at(9_000, text("b"));

        assertThat(words(attempt(job(), Duration.ofSeconds(5)))).containsExactly("100 chunk a", "5000 TooLate");
    }

    @Test
    void a_stop_signal_ends_the_attempt_and_drops_the_text_that_waits() throws Exception {
        script.at(100, text("a"))
                .at(110, text("b"))
                .at(120, () -> signal.stop(StopSignal.Reason.SHUTDOWN))
                .at(130, text("c"));

        assertThat(words(attempt(job()))).containsExactly("100 chunk a", "120 Stopped");
        assertThat(script.woken).isEqualTo(1);
        assertThat(script.closed).isTrue();
    }

    @Test
    void a_signal_before_the_request_wakes_the_stream() throws Exception {
        signal.stop(StopSignal.Reason.CANCELLED);

        assertThat(words(attempt(job()))).containsExactly("0 Stopped");
        assertThat(script.woken).isEqualTo(1);
    }

    @Test
    void a_signal_after_the_end_reaches_no_stream() throws Exception {
        script.at(1, new TokenEvent.End());
        all(attempt(job()));

        signal.stop(StopSignal.Reason.CANCELLED);

        assertThat(script.woken).isZero();
    }

    @Test
    void a_broken_stream_fails_the_attempt_and_drops_the_text_that_waits() throws Exception {
        script.at(100, text("a")).at(110, text("b")).at(120, new TokenEvent.Broken(CLOSED));

        List<Seen> seen = all(attempt(job()));

        assertThat(seen.stream().map(Seen::toString)).containsExactly("100 chunk a", "120 Failed");
        assertThat(end(seen)).isEqualTo(new End.Failed(CLOSED.atNode("gpu-a")));
    }

    @Test
    void a_request_that_cannot_be_built_fails_the_attempt() throws Exception {
        rig.nodes.server("gpu-a").up("llama").onCall(_ -> {
            throw new IllegalStateException("of the test");
        });
        AttemptStream attempt = new AttemptStream(
                new NodeCall(Objects.requireNonNull(rig.node("gpu-a").tryAcquire(0, false)), "llama"),
                new Asked(job(), Rule.NONE, null),
                new Answer.Head("chatcmpl-1", 0, "llama", Task.CHAT),
                new GivingWay(
                        Hedge.NEVER,
                        new RunningAttempt("gpu-a"),
                        new ContinuePlan(Settings.Continuing.NEVER, Map.of()),
                        false),
                new Transcript(false),
                signal,
                Duration.ofMinutes(1),
                rig.context);

        JobFailure failure = ((End.Failed) end(all(attempt))).failure();

        assertThat(failure.code()).isEqualTo(JobFailure.Code.NODE_ERROR);
        assertThat(failure.message()).contains("the request for it could not be built");
        assertThat(failure.node()).isEqualTo("gpu-a");
    }

    @Test
    void an_attempt_that_was_never_read_closes_nothing() {
        attempt(job()).close();

        assertThat(script.closed).isFalse();
    }

    @ParameterizedTest
    @ValueSource(strings = {"[\"cat\", \"dog\"]", "cat, dog"})
    void a_list_of_tags_is_an_answer_to_a_job_for_tags(String text) throws Exception {
        script.at(1, text(text)).at(1, new TokenEvent.End());

        assertThat(end(all(attempt(rig.job().task(Task.TAG).model("llama"))))).isInstanceOf(End.Whole.class);
    }

    @Test
    void other_text_is_no_answer_to_a_job_for_tags() throws Exception {
        script.at(1, text("I see\n a cat. " + "It sits there. ".repeat(20))).at(1, new TokenEvent.End());

        JobFailure failure =
                ((End.Failed) end(all(attempt(rig.job().task(Task.TAG).model("llama"))))).failure();

        assertThat(failure.code()).isEqualTo(JobFailure.Code.NODE_ERROR);
        assertThat(failure.message())
                .startsWith("the model's answer is no list of tags: 'I see a cat. It sits there.")
                .endsWith("…'")
                .hasSizeLessThan(150);
    }
}
