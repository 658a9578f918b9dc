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
import dev.penstock.testkit.upstream.Recording;
import dev.penstock.testkit.upstream.UpstreamRequest;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A vLLM and an Ollama together: which jobs go where, and what happens when one fails. */
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
                .config("penstock.timeouts.first-token", "3s")
                .config("penstock.timeouts.idle", "2s")
                // a node that one test has broken serves the next test
                .config("penstock.breaker.half-open-after", "100ms")
                // the same server, for jobs that name it alone
                .node("patient", "vllm", URI.create(gpu.url()), 16)
                .config("penstock.nodes.patient.pool", "cloud")
                .config("penstock.nodes.patient.timeouts.first-token", "60s")
                .config("penstock.nodes.patient.timeouts.idle", "60s")
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
        for (String node : List.of("gpu-a", "cpu-a", "patient")) {
            Metrics.await(penstock, "penstock_node_up{node=\"%s\"}".formatted(node), 1, PATIENCE);
        }
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
        try {
            send("waits", "\"prompt\":\"Hi\"", "\"node\":\"gpu-a\"");
            Metrics.await(penstock, "penstock_node_up{node=\"gpu-a\"}", 0, PATIENCE);
            assertThat(awaitDeferred("waits").path("message").asText())
                    .contains("gpu-a is down since", "refused the connection");
            penstock.process()
                    .awaitLine(
                            line -> line.contains("waiting=node_down 1 job, such as waits: gpu-a is down since"),
                            PATIENCE);
            assertThat(Rest.get(penstock.managementUrl(), "/q/health/ready").body())
                    .contains("waiting.node_down", "1 job, such as waits: gpu-a is down since");
        } finally {
            gpu.restart();
        }

        replies.awaitOutcomes(List.of("waits"), PATIENCE);
        assertThat(replies.outcome("waits").mark().kind()).isEqualTo(EventMark.Kind.COMPLETED);
        long due = due("waits").orElseThrow();
        assertThat(replies.outcome("waits").timestamp())
                .as("it comes back with its node, and not when it is due")
                .isLessThan(due - 20_000);
    }

    /** When the last deferred record of a job is due; milliseconds. */
    private static OptionalLong due(String id) {
        return Records.all(broker.bootstrap(), "prompt-jobs-deferred").stream()
                .filter(copy -> new String(copy.key(), StandardCharsets.UTF_8).equals(id))
                .map(copy -> copy.headers().lastHeader("penstock-not-before").value())
                .mapToLong(millis -> Long.parseLong(new String(millis, StandardCharsets.UTF_8)))
                .max();
    }

    /**
     * The {@code waiting_for} of a job that waits for its node, once its deferred record is on the broker and not due
     * for long.
     */
    private static JsonNode awaitDeferred(String id) throws InterruptedException {
        long until = System.nanoTime() + PATIENCE.toNanos();
        while (true) {
            JsonNode waiting = Rest.get(penstock.url(), "/v1/jobs/" + id).json().path("waiting_for");
            boolean forLong = due(id).orElse(0) > System.currentTimeMillis() + 30_000;
            if (forLong && waiting.path("code").asText().equals("node_down")) {
                return waiting;
            }
            assertThat(System.nanoTime()).as("waits for %s", waiting).isLessThan(until);
            TimeUnit.MILLISECONDS.sleep(50);
        }
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

    /** While it waits for its node, and while it is deferred because another node is up. */
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void a_job_whose_node_died_under_it_ends_in_its_time(boolean anotherIsUp) throws InterruptedException {
        gpu.script(_ -> Answer.tokens(1000).every(Duration.ofMillis(50)));
        String name = anotherIsUp ? "-set-aside" : "-in-the-line";
        String expires = "expires" + name;
        String runsOut = "runs-out" + name;
        long accepted = send(expires, "\"prompt\":\"Hi\"", "\"node\":\"patient\",\"deadline\":\"PT5S\"");
        send(runsOut, "\"prompt\":\"Hi\"", "\"node\":\"patient\",\"timeout\":\"PT5S\"");
        gpu.awaitInFlight(2, PATIENCE);
        ReplyLog.Event started =
                replies.awaitEvent(runsOut, event -> event.mark().kind() == EventMark.Kind.STARTED, PATIENCE);
        try {
            gpu.stop();
            if (!anotherIsUp) {
                cpu.stop();
            }
            replies.awaitOutcomes(List.of(expires, runsOut), PATIENCE);
        } finally {
            gpu.restart();
            cpu.restart();
        }

        ReplyLog.Event expired = replies.outcome(expires);
        ReplyLog.Event timeout = replies.outcome(runsOut);
        long copies = Records.all(broker.bootstrap(), "prompt-jobs-deferred").stream()
                .filter(copy -> new String(copy.key(), StandardCharsets.UTF_8).endsWith(name))
                .count();
        System.out.printf(
                "%s: expired %d ms after its deadline, timeout %d ms after its time, set aside %d times: %s%n",
                name.substring(1),
                expired.timestamp() - accepted - 5_000,
                timeout.timestamp() - started.timestamp() - 5_000,
                copies,
                timeout.json().at("/error/message").asText());
        assertThat(expired.mark().kind()).as(expired.value()).isEqualTo(EventMark.Kind.EXPIRED);
        assertThat(expired.timestamp() - accepted).isBetween(5_000L, 7_000L);
        assertThat(code(timeout)).isEqualTo("timeout");
        assertThat(timeout.timestamp() - started.timestamp()).isBetween(4_900L, 7_000L);
        assertThat(timeout.json().at("/error/message").asText())
                .startsWith("the job ran longer than its timeout, PT5S")
                .doesNotContain("worker");
        assertThat(copies).isLessThan(6);
    }

    /** vLLM with --max-num-queued-reqs 3. */
    @Test
    void a_burst_at_a_server_whose_queue_is_full_is_waited_out_uncounted() throws InterruptedException {
        Answer full = Answer.raw(Recording.of("vllm/err-queue-full-stream").bytes());
        gpu.script(_ -> gpu.stats().inFlight() > 3 ? full : Answer.tokens(5).every(Duration.ofMillis(40)));
        List<String> ids = IntStream.range(0, 15).mapToObj(i -> "burst-" + i).toList();
        try (JobSender jobs = new JobSender(broker.bootstrap())) {
            for (String id : ids) {
                jobs.sendRaw(null, document(id, "\"prompt\":\"Hi\"", "\"node\":\"patient\",\"max_attempts\":1"));
            }
            jobs.flush();
        }

        replies.awaitOutcomes(ids, PATIENCE);

        System.out.printf(
                "15 jobs at once at a server with room for 3: %s, %d requests%n",
                replies.outcomes(ids), gpu.stats().requests());
        assertThat(replies.outcomes(ids))
                .as(replies.outcome(ids.getFirst()).value())
                .isEqualTo(Map.of("completed", 15));
        assertThat(gpu.stats().requests()).as("some were refused").isGreaterThan(15);
        for (String id : ids) {
            assertThat(replies.valid(id).stream()
                            .filter(event -> event.mark().kind() == EventMark.Kind.STARTED)
                            .map(event -> event.mark().attempt()))
                    .as("attempts are numbered without gaps")
                    .isEqualTo(
                            IntStream.rangeClosed(1, replies.outcome(id).mark().attempt())
                                    .boxed()
                                    .toList());
        }
    }

    @Test
    void two_kills_of_a_server_close_together_leave_the_third_attempt() throws InterruptedException {
        AtomicInteger kills = new AtomicInteger();
        gpu.script(_ -> Answer.tokens(kills.get() < 2 ? 1000 : 5).every(Duration.ofMillis(20)));
        send("killed-twice", "\"prompt\":\"Hi\"", "\"node\":\"patient\",\"max_attempts\":3");
        while (kills.get() < 2) {
            gpu.awaitInFlight(1, PATIENCE);
            kills.incrementAndGet();
            gpu.stop();
            Metrics.await(penstock, "penstock_node_up{node=\"patient\"}", 0, PATIENCE);
            gpu.restart();
        }

        replies.awaitOutcomes(List.of("killed-twice"), PATIENCE);

        assertThat(replies.outcome("killed-twice").mark().kind())
                .as(replies.all("killed-twice").toString())
                .isEqualTo(EventMark.Kind.COMPLETED);
        assertThat(replies.chunkText("killed-twice")).isEqualTo(replies.completedText("killed-twice"));
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

    /** @return when the broker had it, in milliseconds since 1970 */
    private static long send(String id, String body, String job) throws InterruptedException {
        try (JobSender jobs = new JobSender(broker.bootstrap())) {
            jobs.sendRaw(null, document(id, body, job));
            return jobs.flush().getLast().timestamp();
        }
    }

    private static byte[] document(String id, String body, String job) {
        return "{%s,\"job\":{\"id\":\"%s\"%s}}"
                .formatted(body, id, job.isEmpty() ? "" : "," + job)
                .getBytes(StandardCharsets.UTF_8);
    }
}
