package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.EventMark;
import dev.penstock.testkit.Broker;
import dev.penstock.testkit.JobSender;
import dev.penstock.testkit.Metrics;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.ReplyLog;
import dev.penstock.testkit.Rest;
import dev.penstock.testkit.Rig;
import dev.penstock.testkit.upstream.Answer;
import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Random;
import java.util.TreeSet;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Jobs that arrive over REST. {@link ApiIT} inherits these tests, so that one service is started for all of them. */
abstract class ApiSubmissions extends ApiRig {
    @Test
    void a_submission_is_answered_with_its_job_and_its_events_fit_the_schemas() throws InterruptedException {
        Rest.Reply reply = Rest.post(penstock.url(), "/v1/jobs", JSON, CHAT.formatted(""));

        assertThat(reply.status()).isEqualTo(202);
        SCHEMAS.check("job-object.schema.json", reply.body());
        String id = reply.json().path("id").asText();
        assertThat(reply.headers().firstValue("Location")).hasValue("/v1/jobs/" + id);
        replies.awaitOutcomes(List.of(id), PATIENCE);
        for (ReplyLog.Event event : replies.all(id)) {
            SCHEMAS.check("event.schema.json", event.value());
        }
        JsonNode outcome = replies.outcome(id).json();
        assertThat(outcome.path("metadata").path("order").asText()).isEqualTo("42");
        assertThat(outcome.path("job").path("attempts").asInt()).isEqualTo(1);
        assertThat(outcome.path("job").has("first_token_ms")).isTrue();
    }

    @Test
    void every_kind_of_outcome_fits_the_schema() throws InterruptedException {
        fake.script(
                request -> request.prompt().equals("stall") ? Answer.tokens(3).stalling() : Answer.refuse(400, "no"));
        List<String> ids = new ArrayList<>();
        ids.add(submit("{\"prompt\":\"stall\",\"job\":{\"id\":\"k-timeout\",\"timeout\":\"PT0.3S\"}}"));
        ids.add(submit("{\"prompt\":\"stall\",\"job\":{\"id\":\"k-expired\",\"deadline\":\"PT0.3S\"}}"));
        ids.add(submit("{\"prompt\":\"stall\",\"job\":{\"id\":\"k-cancelled\"}}"));
        ids.add(submit("{\"prompt\":\"bad\",\"job\":{\"id\":\"k-failed\"}}"));
        ids.add(submit("{\"prompt\":\"x\",\"job\":{\"id\":\"k-nowhere\",\"node\":\"nope\"}}"));
        assertThat(Rest.delete(penstock.url(), "/v1/jobs/k-cancelled").status()).isEqualTo(202);

        replies.awaitOutcomes(ids, PATIENCE);

        List<String> kinds = new ArrayList<>();
        for (String id : ids) {
            kinds.add(replies.outcome(id).mark().kind().wireName());
            for (ReplyLog.Event event : replies.all(id)) {
                SCHEMAS.check("event.schema.json", event.value());
            }
        }
        assertThat(kinds).containsExactly("failed", "expired", "cancelled", "failed", "failed");
    }

    @Test
    void a_submission_that_asks_for_events_gets_them_at_once() throws InterruptedException, IOException {
        List<String> streamed = new ArrayList<>();
        try (Rest.Events events = Rest.submitAndWatch(penstock.url(), CHAT.formatted(""))) {
            assertThat(events.status()).isEqualTo(200);
            for (Rest.SentEvent event = events.next(); event != null; event = events.next()) {
                streamed.add(event.data());
            }
        }

        String id = SCHEMAS.parse(streamed.getFirst()).path("job").path("id").asText();
        replies.awaitOutcomes(List.of(id), PATIENCE);
        assertThat(streamed)
                .isEqualTo(replies.valid(id).stream().map(ReplyLog.Event::value).toList());
        assertThat(penstock.process().output()).noneMatch(line -> line.contains("ERROR"));
    }

    @Test
    void the_same_idempotency_key_names_the_same_job() throws InterruptedException {
        List<String> ids = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            ids.add(Rest.post(penstock.url(), "/v1/jobs", JSON, CHAT.formatted(""), "Idempotency-Key", "order-42")
                    .json()
                    .path("id")
                    .asText());
        }

        assertThat(new TreeSet<>(ids)).hasSize(1);
        replies.awaitOutcomes(ids.subList(0, 1), PATIENCE);
        assertThat(replies.valid(ids.getFirst()).stream()
                        .filter(event -> event.mark().kind().isOutcome()))
                .hasSize(1);
    }

    @Test
    void many_jobs_are_answered_line_by_line_in_order() throws InterruptedException {
        String lines =
                "{\"prompt\":\"a\",\"job\":{\"id\":\"nd-1\"}}\n{\"prompt\":7}\n\n{\"prompt\":\"b\",\"job\":{\"id\":\"nd-2\",\"priority\":\"high\"}}\n";

        Rest.Reply reply = Rest.post(penstock.url(), "/v1/jobs", "application/x-ndjson", lines);

        assertThat(reply.status()).isEqualTo(202);
        List<JsonNode> answers = reply.body().lines().map(SCHEMAS::parse).toList();
        assertThat(answers).hasSize(3);
        assertThat(answers.get(0).path("id").asText()).isEqualTo("nd-1");
        assertThat(answers.get(1).path("error").path("message").asText()).contains("prompt");
        assertThat(answers.get(2).path("priority").asText()).isEqualTo("high");
        replies.awaitOutcomes(List.of("nd-1", "nd-2"), PATIENCE);
        assertThat(replies.all("nd-2")
                        .getFirst()
                        .json()
                        .path("job")
                        .path("record")
                        .path("topic")
                        .asText())
                .isEqualTo("prompt-jobs-high");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            application/json | {"prompt":7}                                        | 400 | invalid_request        | prompt
            application/json | {"prompt":"a","job":{"priority":"urgent"}}          | 400 | invalid_request        | job.priority
            application/json | {"prompt":                                          | 400 | invalid_request        | not valid JSON
            text/plain       | hello                                               | 415 | unsupported_media_type | application/json
            """)
    void a_bad_submission_is_told_what_is_wrong(String type, String body, int status, String code, String words)
            throws InterruptedException {
        Rest.Reply reply = Rest.post(penstock.url(), "/v1/jobs", type, body);

        assertThat(reply.status()).isEqualTo(status);
        assertThat(reply.code()).isEqualTo(code);
        assertThat(reply.json().path("error").path("message").asText()).contains(words);
        SCHEMAS.check("error.schema.json", reply.body());
    }

    /**
     * A record that is due in 292 million years would block all records behind it. A job that was created then has no
     * deadline that can be computed.
     */
    @Test
    void a_strange_record_among_the_deferred_jobs_is_counted_once_and_passed_over() throws InterruptedException {
        String topic = "prompt-jobs-deferred";
        String never = Long.toString(Long.MAX_VALUE);
        try (JobSender jobs = new JobSender(broker.bootstrap())) {
            for (List<String> times : List.of(List.of("0", never), List.of(never, "0"), List.of("x", "y"))) {
                ProducerRecord<byte[], byte[]> record =
                        new ProducerRecord<>(topic, 1, null, "{\"prompt\":\"x\"}".getBytes(StandardCharsets.UTF_8));
                record.headers()
                        .add("job-id", "strange".getBytes(StandardCharsets.UTF_8))
                        .add("penstock-origin", "prompt-jobs/0/1000000".getBytes(StandardCharsets.UTF_8))
                        .add("penstock-created-at", times.getFirst().getBytes(StandardCharsets.UTF_8))
                        .add("penstock-not-before", times.getLast().getBytes(StandardCharsets.UTF_8));
                jobs.send(record);
            }
            jobs.flush();
        }

        Metrics.await(penstock, "penstock_deferred_strange_total", 3, PATIENCE);
        assertThat(penstock.process().output()).noneMatch(line -> line.contains("could not be handled"));
    }

    @Test
    void a_job_larger_than_the_limit_is_refused() throws InterruptedException {
        Rest.Reply reply =
                Rest.post(penstock.url(), "/v1/jobs", JSON, "{\"prompt\":\"" + "x".repeat(8_400_000) + "\"}");

        assertThat(reply.status()).isEqualTo(413);
        assertThat(reply.code()).isEqualTo("too_large");
    }

    @Test
    void a_job_larger_than_its_topic_takes_is_refused_with_the_topics_own_limit() throws InterruptedException {
        // random bytes: compression makes them no smaller
        byte[] random = new byte[2_200_000];
        new Random(1).nextBytes(random);
        String large = "{\"prompt\":\"%s\",\"job\":{\"priority\":\"low\"}}"
                .formatted(Base64.getEncoder().encodeToString(random));

        Rest.Reply reply = Rest.post(penstock.url(), "/v1/jobs", JSON, large);
        Rest.Reply lines = Rest.post(
                penstock.url(),
                "/v1/jobs",
                "application/x-ndjson",
                large + "\n{\"prompt\":\"a\",\"job\":{\"id\":\"beside-large\",\"priority\":\"low\"}}\n");

        assertThat(reply.status()).as(reply.body()).isEqualTo(413);
        assertThat(lines.status()).isEqualTo(202);
        List<JsonNode> answers = lines.body().lines().map(SCHEMAS::parse).toList();
        for (JsonNode refused : List.of(reply.json(), answers.getFirst())) {
            assertThat(refused.at("/error/code").asText()).isEqualTo("too_large");
            assertThat(refused.at("/error/message").asText())
                    .contains("topic prompt-jobs-low", "max.message.bytes", "1048576");
        }
        assertThat(answers.getFirst().path("line").asInt()).isEqualTo(1);
        assertThat(answers.getLast().path("status").asText()).isEqualTo("queued");
        replies.awaitOutcomes(List.of("beside-large"), PATIENCE);
    }

    @Test
    void lines_are_answered_with_their_outcomes_where_the_caller_waits() throws InterruptedException {
        fake.script(request -> request.prompt().equals("stall")
                ? Answer.tokens(3).stallBeforeResponse()
                : Answer.unicode(20).every(Duration.ofMillis(5)));
        String lines =
                "{\"prompt\":\"a\",\"job\":{\"id\":\"wait-1\"}}\n{\"prompt\":7}\n{\"prompt\":\"b\",\"job\":{\"id\":\"wait-2\"}}\n";

        Rest.Reply reply = manyWaiting(lines, 30);
        Rest.Reply again = manyWaiting(lines, 30);
        Rest.Reply tooShort = manyWaiting(lines + "{\"prompt\":\"stall\",\"job\":{\"id\":\"wait-3\"}}\n", 1);

        for (Rest.Reply all : List.of(reply, again, tooShort)) {
            assertThat(all.status()).as(all.body()).isEqualTo(all.equals(tooShort) ? 202 : 200);
            assertThat(all.headers().firstValue("Preference-Applied")).isPresent();
            List<JsonNode> answers = all.body().lines().map(SCHEMAS::parse).toList();
            assertThat(answers.get(0).path("status").asText()).isEqualTo("completed");
            assertThat(answers.get(1).path("line").asInt()).isEqualTo(2);
            assertThat(answers.get(1).at("/error/message").asText()).startsWith("line 2: ");
            assertThat(answers.get(2).path("status").asText()).isEqualTo("completed");
            assertThat(answers.get(2).path("id").asText()).isEqualTo("wait-2");
        }
        assertThat(SCHEMAS.parse(tooShort.body().lines().toList().getLast())
                        .path("status")
                        .asText())
                .isIn("queued", "running");
        assertThat(Rest.delete(penstock.url(), "/v1/jobs/wait-3").status()).isEqualTo(202);
        replies.awaitOutcomes(List.of("wait-3"), PATIENCE);
        assertThat(List.of("wait-1", "wait-2"))
                .allSatisfy(id ->
                        assertThat(replies.count(id, EventMark.Kind.STARTED)).isEqualTo(1));
    }

    private static Rest.Reply manyWaiting(String lines, int seconds) throws InterruptedException {
        return Rest.post(penstock.url(), "/v1/jobs", "application/x-ndjson", lines, "Prefer", "wait=" + seconds);
    }

    @Test
    void what_needs_kafka_is_refused_at_once_while_it_is_known_to_be_away() throws InterruptedException {
        try (PenstockProcess alone = PenstockProcess.with("127.0.0.1:" + Broker.freePort())
                .node("fake", "vllm", URI.create(fake.url()), 8)
                .start()) {
            String warning = alone.process().awaitLine(line -> line.contains("does not answer"), PATIENCE);
            assertThat(warning).contains("WARN", "127.0.0.1:", "KAFKA_BOOTSTRAP_SERVERS");
            String lines = "{\"prompt\":\"a\"}\n{\"prompt\":\"b\"}\n";
            long begun = System.nanoTime();
            List<Rest.Reply> refused = List.of(
                    Rest.post(alone.url(), "/v1/jobs", JSON, CHAT.formatted("")),
                    Rest.post(alone.url(), "/v1/jobs", JSON, CHAT.formatted(""), "Prefer", "wait=30"),
                    Rest.post(alone.url(), "/v1/jobs", JSON, CHAT.formatted(""), "Accept", "text/event-stream"));
            Rest.Reply many = Rest.post(alone.url(), "/v1/jobs", "application/x-ndjson", lines, "Prefer", "wait=30");
            double seconds = Rig.seconds(begun);

            System.out.printf("four submissions while Kafka is known to be away: %.2f s%n", seconds);
            assertThat(seconds).isLessThan(5);
            assertThat(refused).allSatisfy(reply -> {
                assertThat(reply.status()).as(reply.body()).isEqualTo(503);
                assertThat(reply.code()).isEqualTo("broker_unavailable");
                assertThat(reply.headers().firstValue("Retry-After")).isPresent();
                assertThat(reply.body()).contains("nothing was sent");
            });
            assertThat(many.body().lines().map(SCHEMAS::parse).toList())
                    .hasSize(2)
                    .allSatisfy(
                            line -> assertThat(line.at("/error/code").asText()).isEqualTo("broker_unavailable"));
            alone.kill9();
        }
    }
}
