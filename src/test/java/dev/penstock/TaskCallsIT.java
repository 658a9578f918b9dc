package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.testkit.Rest;
import dev.penstock.testkit.upstream.Answer;
import org.junit.jupiter.api.Test;

/** The calls that have one task each: rankings, scores, and what images show. */
class TaskCallsIT extends ApiRig {
    private static final String GIF = "R0lGODlhAQABAAAAACw=";

    private static Rest.Reply ok(Rest.Reply reply) {
        assertThat(reply.status()).as(reply.body()).isEqualTo(200);
        assertThat(reply.headers().firstValue("x-penstock-node")).hasValue("fake");
        return reply;
    }

    @Test
    void documents_are_ranked_at_once() throws InterruptedException {
        Rest.Reply ranking = ok(Rest.post(
                penstock.url(),
                "/v1/rerank",
                JSON,
                "{\"model\":\"tiny\",\"query\":\"Which?\",\"documents\":[\"one\",\"a longer one\"],\"top_n\":1}"));

        assertThat(ranking.json().at("/results/0/index").asInt()).isEqualTo(1);
        assertThat(ranking.json().at("/results/0/document/text").asText()).isEqualTo("a longer one");
        assertThat(ranking.json().path("results")).hasSize(1);
        assertThat(ranking.json().path("model").asText()).isEqualTo("tiny");
        assertThat(ranking.json().has("job")).isFalse();
    }

    @Test
    void pairs_are_scored_at_once() throws InterruptedException {
        Rest.Reply scores = ok(Rest.post(
                penstock.url(), "/v1/score", JSON, "{\"text_1\":\"Which?\",\"text_2\":[\"one\",\"a longer one\"]}"));

        assertThat(scores.json().path("object").asText()).isEqualTo("list");
        assertThat(scores.json().path("data").findValuesAsText("index")).containsExactly("0", "1");
    }

    @Test
    void an_image_is_described_from_json_and_from_a_form() throws InterruptedException {
        fake.script(_ -> Answer.of(" A cat", " on a sofa. "));
        Rest.Reply json = ok(Rest.post(
                penstock.url(), "/v1/describe", JSON, "{\"image\":\"" + GIF + "\",\"prompt\":\"What is it?\"}"));
        Rest.Reply form = ok(Rest.post(
                penstock.url(), "/v1/describe", "multipart/form-data; boundary=XX", """
                --XX
                Content-Disposition: form-data; name="image"; filename="a.gif"
                Content-Type: image/gif

                GIF89a
                --XX
                Content-Disposition: form-data; name="prompt"

                What is it?
                --XX--
                """.replace("\n", "\r\n")));

        for (Rest.Reply reply : new Rest.Reply[] {json, form}) {
            assertThat(reply.json().path("description").asText()).isEqualTo("A cat on a sofa.");
            assertThat(reply.json().path("node").asText()).isEqualTo("fake");
            assertThat(reply.json().path("model").asText()).isEqualTo("tiny");
            assertThat(reply.json().at("/usage/completion_tokens").asInt()).isPositive();
        }
        assertThat(fake.requests().getLast().request().body().toString())
                .contains("data:image/gif;base64,R0lGODlh", "What is it?");
    }

    @Test
    void an_image_is_tagged() throws InterruptedException {
        fake.script(_ -> Answer.of("{\"tags\":[\"cat\",", "\"sofa\"]}"));

        Rest.Reply tags = ok(Rest.post(penstock.url(), "/v1/tag", JSON, "{\"images\":[\"" + GIF + "\"]}"));

        assertThat(tags.json().path("tags")).hasToString("[\"cat\",\"sofa\"]");
        assertThat(tags.json().path("node").asText()).isEqualTo("fake");
    }

    @Test
    void what_does_not_fit_is_refused_with_its_field() throws InterruptedException {
        assertRefused("/v1/rerank", "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}", "job.task");
        assertRefused("/v1/rerank", "{\"query\":\"a\",\"documents\":[]}", "documents");
        assertRefused("/v1/score", "{\"text_1\":\"a\"}", "text_2");
        assertRefused("/v1/score", "{\"text_1\":\"a\",\"text_2\":\"b\",\"stream\":true}", "stream");
        assertRefused("/v1/describe", "{\"image\":\"http://evil.example/a.png\"}", "image");
        assertRefused("/v1/tag", "{\"image\":\"?\"}", "image");
    }

    private static void assertRefused(String path, String body, String param) throws InterruptedException {
        Rest.Reply reply = Rest.post(penstock.url(), path, JSON, body);
        assertThat(reply.status()).as(reply.body()).isEqualTo(400);
        SCHEMAS.check("error.schema.json", reply.body());
        assertThat(reply.json().at("/error/param").asText()).as(reply.body()).isEqualTo(param);
    }
}
