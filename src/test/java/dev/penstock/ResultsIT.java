package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.EventMark;
import dev.penstock.testkit.Conditions;
import dev.penstock.testkit.JobSender;
import dev.penstock.testkit.Metrics;
import dev.penstock.testkit.ReplyLog;
import dev.penstock.testkit.Rest;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.UpstreamRequest;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Jobs whose answer must fit a schema, at a server that breaks the schema as the prompt says. */
class ResultsIT extends ApiRig {
    private static final int JOBS = 200;
    private static final String SCHEMA = "{\"type\":\"object\",\"required\":[\"a\"],\"additionalProperties\":false,"
            + "\"properties\":{\"a\":{\"type\":\"integer\"},\"note\":{\"type\":\"string\",\"pattern\":\"^[a-z]*$\"}}}";

    /** The first message tells which answer to the job fits. */
    @BeforeEach
    void breaksTheSchemaAsThePromptSays() {
        fake.script(request -> {
            int number = number(request);
            String text = number == fitting(request) ? "{\"a\":%d}" : "{\"b\":%d}";
            return Answer.of(text.formatted(number).split("(?<=:)", -1));
        });
    }

    private static int fitting(UpstreamRequest request) {
        return Integer.parseInt(request.body().at("/messages/0/content").asText());
    }

    /** Returns the number of this answer: one more than that of the answer to correct. */
    private static int number(UpstreamRequest request) {
        JsonNode messages = request.body().path("messages");
        return messages.size() == 1
                ? 1
                : 1 + Integer.parseInt(messages.path(1).path("content").asText().replaceAll("\\D", ""));
    }

    private static String job(String id, int fits, int repairs) {
        return "{\"messages\":[{\"role\":\"user\",\"content\":\"%d\"}],\"job\":{\"id\":\"%s\",\"result\":{\"schema\":%s,\"repair\":%d}}}"
                .formatted(fits, id, SCHEMA, repairs);
    }

    @Test
    void of_200_jobs_every_completed_one_fits_and_the_others_are_as_scripted() throws Exception {
        double before = Metrics.value(penstock, "penstock_result_invalid_total").orElse(0);
        Random random = new Random(18);
        Map<String, String> expected = new LinkedHashMap<>();
        int misfits = 0;
        try (JobSender sender = new JobSender(broker.bootstrap())) {
            for (int i = 0; i < JOBS; i++) {
                String id = "checked-" + i;
                int fits = random.nextDouble() < 0.6 ? 1 : random.nextInt(2, 5);
                int repairs = random.nextInt(3);
                misfits += Math.min(fits - 1, repairs + 1);
                expected.put(
                        id,
                        fits <= repairs + 1
                                ? "completed after %d: {\"a\":%d}".formatted(fits, fits)
                                : "invalid_result after %d: {\"b\":%d}".formatted(repairs + 1, repairs + 1));
                SCHEMAS.check("job.schema.json", job(id, fits, repairs));
                sender.sendRaw(null, job(id, fits, repairs).getBytes(StandardCharsets.UTF_8));
            }
            sender.flush();
        }
        replies.awaitOutcomes(expected.keySet(), PATIENCE);

        Map<String, String> ended = new LinkedHashMap<>();
        expected.keySet().forEach(id -> ended.put(id, ended(id)));
        assertThat(ended).isEqualTo(expected);
        assertThat(Metrics.value(penstock, "penstock_result_invalid_total")).hasValue(before + misfits);
    }

    /** Returns how a job ended. Its valid chunks have the text of its last answer. */
    private static String ended(String id) {
        ReplyLog.Event outcome = replies.outcome(id);
        SCHEMAS.check("event.schema.json", outcome.value());
        JsonNode event = outcome.json();
        boolean completed = outcome.mark().kind() == EventMark.Kind.COMPLETED;
        String text =
                completed ? replies.completedText(id) : event.at("/error/text").asText();
        assertThat(replies.chunkText(id)).as(id).isEqualTo(text);
        assertThat(replies.count(id, EventMark.Kind.STARTED))
                .as(id)
                .isEqualTo(event.at("/job/attempts").asLong());
        return "%s after %d: %s"
                .formatted(
                        completed ? "completed" : event.at("/error/code").asText(),
                        event.at("/job/attempts").asInt(),
                        text);
    }

    @Test
    void the_api_shows_the_violations_and_the_text() throws Exception {
        String document = job("shown", 9, 1);

        Rest.Reply posted = Rest.post(penstock.url(), "/v1/jobs", JSON, document, "Prefer", "wait=30");
        // the ledger may be behind the reply topic
        Conditions.await(() -> Rest.get(penstock.url(), "/v1/jobs/shown").body().contains("\"finished_at\":\""));
        Rest.Reply got = Rest.get(penstock.url(), "/v1/jobs/shown");
        Rest.Reply list = Rest.get(penstock.url(), "/v1/jobs?code=invalid_result&limit=100");

        assertThat(posted.status()).as(posted.body()).isEqualTo(200);
        for (JsonNode job : List.of(posted.json(), got.json())) {
            SCHEMAS.check("job-object.schema.json", job.toString());
            assertThat(job.path("status").asText()).isEqualTo("failed");
            assertThat(job.path("attempts").asInt()).isEqualTo(2);
            assertThat(job.at("/error/text").asText()).isEqualTo("{\"b\":2}");
            List<String> violations = new ArrayList<>();
            job.at("/error/violations")
                    .forEach(one -> violations.add(one.path("path").asText() + ": "
                            + one.path("message").asText()));
            assertThat(violations)
                    .containsExactlyInAnyOrder(
                            ": required property 'a' not found",
                            ": property 'b' is not defined in the schema and the schema does not allow additional properties");
        }
        assertThat(list.json().path("data"))
                .isNotEmpty()
                .allSatisfy(job -> assertThat(job.at("/error/violations").isArray()
                                && !job.path("error").has("text"))
                        .as(job.toString())
                        .isTrue());
    }

    @Test
    void a_schema_that_is_wrong_or_reaches_outside_is_refused() throws Exception {
        for (Map.Entry<String, String> wrong : Map.of(
                        "{\"type\":\"objekt\"}", "job.result.schema/type",
                        "{\"$ref\":\"http://localhost/x.json\"}", "job.result.schema/$ref",
                        "{\"pattern\":\"(?=a)b\"}", "job.result.schema/pattern")
                .entrySet()) {
            Rest.Reply reply = Rest.post(
                    penstock.url(),
                    "/v1/jobs",
                    JSON,
                    "{\"prompt\":\"a\",\"job\":{\"result\":{\"schema\":%s}}}".formatted(wrong.getKey()));

            assertThat(reply.status()).as(reply.body()).isEqualTo(400);
            SCHEMAS.check("error.schema.json", reply.body());
            assertThat(reply.json().at("/error/param").asText()).isEqualTo(wrong.getValue());
        }
    }

    /** Older drafts have their own schemas inside the executable. */
    @Test
    void each_draft_works_in_the_packaged_service() throws Exception {
        for (String draft : List.of(
                "https://json-schema.org/draft/2020-12/schema",
                "https://json-schema.org/draft/2019-09/schema",
                "http://json-schema.org/draft-07/schema#",
                "http://json-schema.org/draft-06/schema#")) {
            Rest.Reply reply = Rest.post(
                    penstock.url(),
                    "/v1/jobs",
                    JSON,
                    "{\"messages\":[{\"role\":\"user\",\"content\":\"2\"}],\"job\":{\"result\":{\"schema\":{\"$schema\":\"%s\",\"required\":[\"a\"]},\"repair\":1}}}"
                            .formatted(draft),
                    "Prefer",
                    "wait=30");

            assertThat(reply.status()).as(reply.body()).isEqualTo(200);
            assertThat(reply.json().path("status").asText()).as(reply.body()).isEqualTo("completed");
            assertThat(reply.json().path("attempts").asInt()).isEqualTo(2);
        }
    }
}
