package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.EventMark;
import dev.penstock.testkit.Broker;
import dev.penstock.testkit.JobSender;
import dev.penstock.testkit.Metrics;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.Records;
import dev.penstock.testkit.ReplyLog;
import dev.penstock.testkit.Rest;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.FakeUpstream;
import dev.penstock.testkit.upstream.UpstreamRequest;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.function.Function;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A vLLM and an Ollama beside each other: what goes where, and what happens when one fails. */
class NodesIT {
    private static final Duration PATIENCE = Duration.ofSeconds(90);

    private static Broker broker;
    private static FakeUpstream gpu;
    private static FakeUpstream cpu;
    private static PenstockProcess penstock;
    private static ReplyLog replies;

    @BeforeAll
    static void start() throws InterruptedException {
        broker = Broker.start();
        gpu = FakeUpstream.start();
        cpu = FakeUpstream.start();
        penstock = PenstockProcess.with(broker.bootstrap())
                .node("gpu-a", "vllm", URI.create(gpu.url()), 4)
                .node("cpu-a", "ollama", URI.create(cpu.url()), 2)
                .config("penstock.profiles.fast.vllm", "tiny")
                .config("penstock.profiles.fast.ollama", "tiny:latest")
                .config("penstock.default-profile", "fast")
                .config("penstock.timeouts.first-token", "1s")
                .config("penstock.timeouts.idle", "500ms")
                .node("ghost", "openai-compatible", URI.create("http://127.0.0.1:1"), 1)
                .config("penstock.nodes.unknown-for", "3s")
                .config("penstock.intake.park", "500ms")
                .startReady();
        replies = ReplyLog.follow(broker.bootstrap());
    }

    @AfterAll
    static void stop() {
        replies.close();
        penstock.close();
        gpu.close();
        cpu.close();
        broker.close();
    }

    @BeforeEach
    void bothAreUp() throws InterruptedException {
        for (FakeUpstream fake : List.of(gpu, cpu)) {
            fake.script(_ -> Answer.unicode(20).every(Duration.ofMillis(5)));
            fake.reset();
        }
        Metrics.await(penstock, "penstock_node_up{node=\"gpu-a\"}", 1, PATIENCE);
        Metrics.await(penstock, "penstock_node_up{node=\"cpu-a\"}", 1, PATIENCE);
    }

    @ParameterizedTest
    @ValueSource(strings = {"gpu-a", "cpu-a"})
    void chunks_add_up_to_the_text_whatever_the_node_speaks(String node) throws InterruptedException {
        FakeUpstream fake = node.equals("gpu-a") ? gpu : cpu;
        fake.script(_ -> Answer.unicode(40).everyByteAlone());
        for (String body : List.of(
                "\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]",
                "\"prompt\":\"Hi\"",
                "\"prompt\":\"Hi\",\"stream\":false")) {
            String id = "text-" + node + "-" + body.hashCode();

            ReplyLog.Event outcome = run(id, body, "\"node\":\"" + node + "\"");

            assertThat(outcome.mark().kind()).as(outcome.value()).isEqualTo(EventMark.Kind.COMPLETED);
            assertThat(replies.completedText(id)).isEqualTo(Answer.unicode(40).joined());
            if (body.contains("stream")) {
                assertThat(replies.count(id, EventMark.Kind.CHUNK)).isZero();
            } else {
                assertThat(replies.chunkText(id)).isEqualTo(replies.completedText(id));
            }
            assertThat(outcome.json().path("usage").path("completion_tokens").asInt())
                    .isEqualTo(40);
        }
    }

    @ParameterizedTest
    @CsvSource({
        "closes before the response, stream_broken",
        "resets after some tokens, stream_broken",
        "ends without its end mark, stream_broken",
        "fails in mid-stream, node_error",
        "answers 503, node_overloaded",
        "says nothing, first_token_timeout",
        "stalls in mid-stream, idle_timeout",
    })
    void a_failed_attempt_is_tried_at_the_other_node(String how, String code) throws InterruptedException {
        Function<UpstreamRequest, Answer> failing = _ -> failing(how);
        gpu.script(failing);
        String id = "failover-" + how.replace(' ', '-');

        ReplyLog.Event outcome = run(id, "\"prompt\":\"Hi\"", "");

        assertThat(outcome.mark().kind()).as(outcome.value()).isEqualTo(EventMark.Kind.COMPLETED);
        assertThat(outcome.mark().attempt()).isEqualTo(2);
        assertThat(outcome.json().path("job").path("node").asText()).isEqualTo("cpu-a");
        assertThat(replies.chunkText(id)).isEqualTo(replies.completedText(id));
        assertThat(Metrics.value(penstock, "penstock_attempts_total{node=\"gpu-a\",outcome=\"" + code + "\"}")
                        .orElse(0))
                .isPositive();
    }

    private static Answer failing(String how) {
        Answer answer = Answer.tokens(10).every(Duration.ofMillis(5));
        return switch (how) {
            case "closes before the response" -> answer.closeBeforeResponse();
            case "resets after some tokens" -> answer.resetAfter(4);
            case "ends without its end mark" -> answer.withoutEndMark();
            case "fails in mid-stream" -> answer.failAfter(4);
            case "answers 503" -> Answer.refuse(503, "too many requests in the queue");
            case "says nothing" -> answer.stallBeforeResponse();
            default -> answer.stallAfter(4);
        };
    }

    @Test
    void after_max_attempts_the_job_fails_with_the_last_nodes_words() throws InterruptedException {
        gpu.script(_ -> Answer.refuse(500, "out of memory"));

        ReplyLog.Event outcome = run("hopeless", "\"prompt\":\"Hi\"", "\"node\":\"gpu-a\",\"max_attempts\":2");

        assertThat(outcome.mark().kind()).isEqualTo(EventMark.Kind.FAILED);
        assertThat(outcome.json().path("error").path("code").asText()).isEqualTo("node_error");
        assertThat(outcome.json().path("error").path("node").asText()).isEqualTo("gpu-a");
        assertThat(outcome.json().path("error").path("retryable").asBoolean()).isTrue();
        assertThat(outcome.json().path("error").path("message").asText()).contains("out of memory");
        assertThat(gpu.stats().requests()).isEqualTo(2);
        assertThat(replies.count("hopeless", EventMark.Kind.STARTED)).isEqualTo(2);
    }

    @Test
    void a_bad_request_is_not_tried_again() throws InterruptedException {
        gpu.script(_ -> Answer.refuse(400, "temperature must be between 0 and 2"));

        ReplyLog.Event outcome = run("bad", "\"prompt\":\"Hi\"", "");

        assertThat(outcome.json().path("error").path("code").asText()).isEqualTo("invalid_request");
        assertThat(gpu.stats().requests()).isEqualTo(1);
        assertThat(cpu.stats().requests()).isZero();
    }

    @Test
    void a_job_whose_node_is_down_waits_until_it_is_back() throws InterruptedException {
        gpu.stop();
        send("waits", "\"prompt\":\"Hi\"", "\"node\":\"gpu-a\"");
        Metrics.await(penstock, "penstock_node_up{node=\"gpu-a\"}", 0, PATIENCE);
        Metrics.await(penstock, "penstock_deferred_total{delay=\"medium\"}", 1, PATIENCE);
        JsonNode waiting = Rest.get(penstock.url(), "/v1/jobs/waits").json().path("waiting_for");
        assertThat(waiting.path("code").asText()).isEqualTo("node_down");
        assertThat(waiting.path("message").asText()).contains("gpu-a is down since", "refused the connection");
        replies.await(
                () -> penstock.process().output().stream()
                        .anyMatch(line -> line.contains("waiting=node_down 1 job, such as waits: gpu-a is down since")),
                PATIENCE,
                () -> String.join("\n", penstock.process().output()));
        assertThat(Rest.get(penstock.managementUrl(), "/q/health/ready").body())
                .contains("waiting.node_down", "1 job, such as waits: gpu-a is down since");

        gpu.restart();

        replies.awaitOutcomes(List.of("waits"), PATIENCE);
        assertThat(replies.outcome("waits").mark().kind()).isEqualTo(EventMark.Kind.COMPLETED);
        long due = Records.all(broker.bootstrap(), "prompt-jobs-deferred").stream()
                .map(copy -> copy.headers().lastHeader("penstock-not-before").value())
                .mapToLong(millis -> Long.parseLong(new String(millis, StandardCharsets.UTF_8)))
                .max()
                .orElseThrow();
        assertThat(replies.outcome("waits").timestamp())
                .as("it comes back with its node, and not when it is due")
                .isLessThan(due - 20_000);
    }

    @Test
    void pins_models_deadlines_and_timeouts_end_a_job_with_their_own_word() throws InterruptedException {
        assertThat(code(run("pinned", "\"prompt\":\"Hi\"", "\"node\":\"gpu-z\"")))
                .isEqualTo("no_node");
        ReplyLog.Event unknown = run("unknown", "\"prompt\":\"Hi\",\"model\":\"nope\"", "");
        assertThat(code(unknown)).isEqualTo("model_not_found");
        assertThat(unknown.value()).contains("model 'nope' is on no node", "Never reached: ghost (");
        gpu.script(_ -> Answer.tokens(1000).every(Duration.ofMillis(20)));
        ReplyLog.Event late = run("late", "\"prompt\":\"Hi\"", "\"node\":\"gpu-a\",\"deadline\":\"PT0.5S\"");
        assertThat(late.mark().kind()).isEqualTo(EventMark.Kind.EXPIRED);
        assertThat(code(run("slow", "\"prompt\":\"Hi\"", "\"node\":\"gpu-a\",\"timeout\":\"PT0.5S\"")))
                .isEqualTo("timeout");
        ReplyLog.Event past = run("past", "\"prompt\":\"Hi\"", "\"deadline\":\"2020-01-01T00:00:00Z\"");
        assertThat(past.mark().kind()).isEqualTo(EventMark.Kind.EXPIRED);
        assertThat(past.mark().attempt()).isZero();
        gpu.await(stats -> stats.inFlight() == 0, PATIENCE);
    }

    private static String code(ReplyLog.Event outcome) {
        assertThat(outcome.mark().kind()).as(outcome.value()).isEqualTo(EventMark.Kind.FAILED);
        return outcome.json().path("error").path("code").asText();
    }

    private static ReplyLog.Event run(String id, String body, String job) throws InterruptedException {
        send(id, body, job);
        replies.awaitOutcomes(List.of(id), PATIENCE);
        return replies.outcome(id);
    }

    private static void send(String id, String body, String job) throws InterruptedException {
        String document = "{%s,\"job\":{\"id\":\"%s\"%s}}".formatted(body, id, job.isEmpty() ? "" : "," + job);
        try (JobSender jobs = new JobSender(broker.bootstrap())) {
            jobs.sendRaw(null, document.getBytes(StandardCharsets.UTF_8));
            jobs.flush();
        }
    }
}
