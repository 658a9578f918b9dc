package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.EventMark;
import dev.penstock.testkit.JobSender;
import dev.penstock.testkit.Metrics;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.ReplyLog;
import dev.penstock.testkit.Rig;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.Exchange;
import dev.penstock.testkit.upstream.UpstreamRequest;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Nodes and replicas that fail in mid-answer, over real connections: the text goes on where it broke off. */
class ContinuedTextIT {
    private static final Duration PATIENCE = Duration.ofMinutes(1);
    private static final int TOKENS = 200;
    private static final String WHOLE = Answer.unicode(TOKENS).joined();

    private static Rig rig;
    private static PenstockProcess penstock;

    @BeforeAll
    static void start() throws InterruptedException {
        rig = Rig.start("continued");
        rig.fake().models("sse", "ndjson");
        penstock = rig.start(replica("continued"));
    }

    /** Returns a replica with one node that sends server-sent events, and another that sends lines of JSON. */
    private static PenstockProcess.Builder replica(String name) {
        return rig.replica(name, 64)
                .node("ollama", "ollama", URI.create(rig.fake().url()), 64)
                .config("penstock.retries.backoff", "10ms");
    }

    @AfterAll
    static void stop() {
        rig.close();
    }

    private static void send(String model, Map<String, String> prompts) throws InterruptedException {
        try (JobSender jobs = new JobSender(rig.broker().bootstrap())) {
            prompts.forEach((id, prompt) -> jobs.sendRaw(
                    null,
                    "{\"job\":{\"id\":\"%s\",\"node\":\"%s\"},\"model\":\"%s\",\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}]}"
                            .formatted(id, model.equals("sse") ? "fake" : "ollama", model, prompt)
                            .getBytes(StandardCharsets.UTF_8)));
            jobs.flush();
        }
    }

    /** The first request of each job gets so many tokens, and then the connection ends. */
    private static Answer breaking(UpstreamRequest request, Set<String> broken) {
        int after = Integer.parseInt(request.prompt().replaceFirst(".*-", ""));
        Answer answer = Answer.unicode(TOKENS);
        return broken.add(request.prompt()) ? answer.closeAfter(after) : answer;
    }

    @ParameterizedTest
    @ValueSource(strings = {"sse", "ndjson"})
    void a_connection_that_ends_after_any_token_leaves_the_whole_text(String model) throws InterruptedException {
        Set<String> broken = ConcurrentHashMap.newKeySet();
        rig.fake().script(request -> breaking(request, broken)).reset();
        Map<String, String> prompts = IntStream.rangeClosed(0, TOKENS)
                .mapToObj(after -> model + "-" + after)
                .collect(Collectors.toMap(id -> id, id -> id));

        send(model, prompts);

        ReplyLog replies = rig.replies();
        replies.awaitOutcomes(prompts.keySet(), PATIENCE);
        assertThat(replies.outcomes(prompts.keySet())).isEqualTo(Map.of("completed", TOKENS + 1));
        Map<String, Exchange> rests = rig.fake().requests().stream()
                .filter(exchange -> !exchange.request().continued().isEmpty())
                .collect(Collectors.toMap(exchange -> exchange.request().prompt(), exchange -> exchange));
        for (int after = 0; after <= TOKENS; after++) {
            String id = model + "-" + after;
            assertThat(replies.completedText(id)).as(id).isEqualTo(WHOLE);
            assertThat(replies.chunkText(id)).as(id).isEqualTo(WHOLE);
            if (after > 0) {
                assertResumed(
                        replies,
                        id,
                        Objects.requireNonNull(rests.get(id)).request().continued(),
                        Answer.unicode(after).joined());
            }
        }
        assertThat(rests).hasSize(TOKENS);
        assertThat(Metrics.text(penstock)).contains("penstock_failovers_total{kind=\"continued\"}");
    }

    /** The rest was asked for with all of the published text, and {@code resumed_from} names the last chunk. */
    private static void assertResumed(ReplyLog replies, String id, String given, String published) {
        assertThat(given).as(id).isEqualTo(published);
        List<ReplyLog.Event> valid = replies.valid(id);
        ReplyLog.Event resumed = valid.stream()
                .filter(event -> event.mark().kind() == EventMark.Kind.STARTED
                        && event.mark().attempt() == 2)
                .findFirst()
                .orElseThrow();
        ReplyLog.Event last = valid.get(valid.indexOf(resumed) - 1);
        assertThat(last.mark().kind()).isEqualTo(EventMark.Kind.CHUNK);
        assertThat(resumed.json().at("/job/resumed_from").toString())
                .as(id)
                .isEqualTo("{\"attempt\":1,\"seq\":%d}".formatted(last.mark().seq()));
    }

    /** Each of 20 jobs hangs after another tenth token, and then the replica is killed. */
    @Test
    void a_killed_replica_leaves_the_whole_text_of_each_job() throws InterruptedException {
        Set<String> broken = ConcurrentHashMap.newKeySet();
        rig.fake()
                .script(request -> {
                    int after = Integer.parseInt(request.prompt().replaceFirst(".*-", ""));
                    Answer answer = Answer.unicode(TOKENS);
                    return broken.add(request.prompt()) ? answer.stallAfter(after) : answer;
                })
                .reset();
        Map<String, String> prompts = IntStream.rangeClosed(1, TOKENS / 10)
                .mapToObj(tenth -> "killed-" + tenth * 10)
                .collect(Collectors.toMap(id -> id, id -> id));

        send("sse", prompts);
        ReplyLog replies = rig.replies();
        replies.await(
                () -> prompts.keySet().stream()
                        .allMatch(id -> replies.chunkText(id).equals(published(id))),
                PATIENCE,
                () -> "not all of the text is published");
        penstock.kill9();
        penstock = rig.start(replica("continued"));

        replies.awaitOutcomes(prompts.keySet(), PATIENCE);
        Map<String, String> given = rig.fake().requests().stream()
                .filter(exchange -> !exchange.request().continued().isEmpty())
                .collect(Collectors.toMap(
                        exchange -> exchange.request().prompt(),
                        exchange -> exchange.request().continued()));
        for (String id : prompts.keySet()) {
            assertThat(replies.completedText(id)).as(id).isEqualTo(WHOLE);
            assertThat(replies.chunkText(id)).as(id).isEqualTo(WHOLE);
            assertResumed(replies, id, given.getOrDefault(id, "no rest was asked for"), published(id));
            JsonNode segments = replies.outcome(id).json().at("/job/segments");
            assertThat(segments).as(id).hasSize(published(id).equals(WHOLE) ? 0 : 2);
        }
    }

    private static String published(String id) {
        return Answer.unicode(Integer.parseInt(id.replaceFirst(".*-", ""))).joined();
    }
}
