package dev.penstock.dispatch;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.Answer;
import dev.penstock.job.EventMark;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.PublishedText;
import dev.penstock.job.Task;
import dev.penstock.job.TokenEvent;
import dev.penstock.node.FakeNodes;
import dev.penstock.testkit.Conditions;
import dev.penstock.testkit.WireSchemas;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What a run does with a job whose earlier run has published text: it continues the text. */
@Timeout(60)
class ContinuedRunTest {
    private static final int TOKENS = 200;
    private static final WireSchemas SCHEMAS = new WireSchemas();

    private final RunRig rig = new RunRig(RunRig.VLLM);
    private final TakenJob job = rig.job("llama");
    private final FakeDelivery delivery = new FakeDelivery();

    private static String text(int from, int to) {
        return String.join("", IntStream.range(from, to).mapToObj(i -> " w" + i).toList());
    }

    private void publish(EventMark mark, JobEvent event) {
        var _ = rig.replies.send(job.job().id(), mark, event, null);
    }

    private void started(int attempt, String run, PublishedText.@Nullable Place from) {
        publish(
                new EventMark(EventMark.Kind.STARTED, attempt, run, 0),
                new JobEvent.Started("gpu-z", "vllm", "llama", rig.clock.instant(), job.place(), Map.of(), from));
    }

    private void chunk(int attempt, String run, long seq, TokenEvent... deltas) {
        publish(
                new EventMark(EventMark.Kind.CHUNK, attempt, run, seq),
                new JobEvent.Chunk(new Answer.Head("chatcmpl-1", 1, "llama", Task.CHAT), List.of(deltas)));
    }

    private static TokenEvent piece(String text) {
        return new TokenEvent.Text(0, TokenEvent.Field.CONTENT, text);
    }

    /** The server gives the rest of the script, and all of it where the answer starts over. */
    private void answers() {
        rig.server().up("llama").onCall(call -> {
            PublishedText given = call.prompt().published();
            call.answer(
                    text(0, TOKENS).substring(given == null ? 0 : given.text().length()));
        });
    }

    private static String whole(RunRig.Run run) {
        return run.last().at("/choices/0/message/content").asText();
    }

    private JsonNode startedAgain(int attempt) {
        return rig.events(job.job().id()).stream()
                .filter(event -> event.at("/job/event").asText().equals("started")
                        && event.at("/job/attempt").asInt() == attempt)
                .findFirst()
                .orElseThrow();
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void a_replica_that_dies_after_any_tenth_token_leaves_the_whole_text(boolean ledger) {
        for (int died = 10; died <= TOKENS; died += 10) {
            ContinuedRunTest one = new ContinuedRunTest();
            if (ledger) {
                one.rig.ledger.answersAfter(0);
            }
            one.answers();
            one.started(1, "dead", null);
            one.chunk(1, "dead", 1, new TokenEvent.Role(0), piece(text(0, 1)));
            one.chunk(1, "dead", 2, piece(text(1, died)));
            one.delivery.redelivered = true;

            RunRig.Run run = one.rig.start(one.job, one.delivery).join();

            assertThat(run.names())
                    .as("after " + died)
                    .startsWith("started 1", "chunk 1", "chunk 1", "started 2")
                    .endsWith("completed 2");
            assertThat(one.startedAgain(2).at("/job/resumed_from").toString()).isEqualTo("{\"attempt\":1,\"seq\":2}");
            assertThat(whole(run)).isEqualTo(text(0, TOKENS));
            PublishedText given = Objects.requireNonNull(
                    one.rig.server().calls().getFirst().prompt().published());
            assertThat(given.text()).isEqualTo(text(0, died));
            assertThat(one.delivery.ends).containsExactly("acknowledged");
        }
    }

    @Test
    void the_text_of_a_chain_of_runs_is_one_text() {
        answers();
        started(1, "first", null);
        chunk(1, "first", 1, piece(text(0, 3)));
        chunk(1, "first", 2, piece(text(3, 4)));
        started(2, "second", new PublishedText.Place(1, 1));
        chunk(1, "first", 3, piece(" void"));
        chunk(2, "second", 1, piece(text(3, 6)));
        delivery.redelivered = true;

        RunRig.Run run = rig.start(job, delivery).join();

        assertThat(whole(run)).isEqualTo(text(0, TOKENS));
        assertThat(startedAgain(3).at("/job/resumed_from").toString()).isEqualTo("{\"attempt\":2,\"seq\":1}");
        rig.events(job.job().id()).forEach(event -> SCHEMAS.check("event.schema.json", event.toString()));
        JsonNode segments = run.last().at("/job/segments");
        assertThat(segments).hasSize(3);
        assertThat(segments.path(0).path("node").asText()).isEqualTo("gpu-z");
        assertThat(segments.path(2).path("node").asText()).isEqualTo("gpu-a");
        assertThat(run.last().at("/job/usage_all_attempts/completion_tokens").asInt())
                .isPositive();
    }

    @Test
    void an_answer_that_is_published_again_is_whole_and_continues_nothing() {
        FakeNodes.Server server = rig.server().up("llama");
        started(1, "dead", null);
        chunk(1, "dead", 1, piece(text(0, 3)));
        delivery.redelivered = true;
        RunRig.Run run = rig.start(job, delivery);
        RunRig.awaitCall(server);
        // another run takes over, and crashes
        started(3, "other", null);
        server.calls().getFirst().answer(text(3, 5));

        assertThat(run.join().names()).endsWith("started 4", "chunk 4", "completed 4");
        assertThat(startedAgain(2).at("/job/resumed_from").isMissingNode()).isFalse();
        assertThat(startedAgain(4).at("/job/resumed_from").isMissingNode()).isTrue();
        assertThat(whole(run)).isEqualTo(text(0, 5));
        assertThat(run.last().at("/job/segments").isMissingNode()).isTrue();
    }

    @Test
    void a_run_whose_attempt_is_void_starts_over_after_a_failure() {
        FakeNodes.Server server = rig.server().up("llama");
        started(1, "dead", null);
        delivery.redelivered = true;
        RunRig.Run run = rig.start(job, delivery);
        RunRig.awaitCall(server);
        server.calls().getFirst().say(piece(text(0, 2)));
        Conditions.await(() -> run.names().contains("chunk 2"), () -> "no chunk: " + run.names());
        started(3, "other", null);
        server.onCall(call -> call.answer(call.prompt().published() == null ? text(0, 5) : "never"));

        server.calls().getFirst().fail(JobFailure.of(JobFailure.Code.STREAM_BROKEN, "closed the connection"));
        Conditions.await(
                () -> {
                    rig.pass(Duration.ofMillis(10));
                    return run.isOver();
                },
                () -> "it has not ended: " + run.names());

        assertThat(whole(run)).isEqualTo(text(0, 5));
    }

    @Test
    void reasoning_that_was_published_makes_the_answer_start_over() {
        answers();
        started(1, "dead", null);
        chunk(1, "dead", 1, new TokenEvent.Text(0, TokenEvent.Field.REASONING, "hm"));
        chunk(1, "dead", 2, piece(text(0, 3)));
        delivery.redelivered = true;

        RunRig.Run run = rig.start(job, delivery).join();

        assertThat(startedAgain(2).at("/job/resumed_from").isMissingNode()).isTrue();
        assertThat(whole(run)).isEqualTo(text(0, TOKENS));
        assertThat(run.last().at("/job/segments").isMissingNode()).isTrue();
    }

    @Test
    void with_continue_never_the_answer_starts_over() {
        RunRig never = new RunRig(RunRig.keys(RunRig.VLLM, Map.of("continue", "never")));
        never.answers();
        TakenJob taken = never.job("llama");
        never.otherStarts(taken, 1, "dead");
        delivery.redelivered = true;

        assertThat(never.start(taken, delivery).join().names())
                .containsExactly("started 1", "started 2", "chunk 2", "completed 2");
    }
}
