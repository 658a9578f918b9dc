package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.EventMark;
import dev.penstock.testkit.Broker;
import dev.penstock.testkit.Metrics;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.ReplyLog;
import dev.penstock.testkit.Rest;
import dev.penstock.testkit.WireSchemas;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.FakeUpstream;
import dev.penstock.testkit.upstream.Flavour;
import dev.penstock.testkit.upstream.Scores;
import java.net.URI;
import java.time.Duration;
import java.util.List;
import java.util.UUID;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Rankings and scores as jobs, and the forms that the calls with images take. */
class TasksIT {
    private static final List<String> SERVERS = List.of("vllm", "llama-server", "openai-compatible", "ollama");
    private static final Duration PATIENCE = Duration.ofSeconds(90);
    private static final WireSchemas SCHEMAS = new WireSchemas();
    private static final String DOCUMENTS =
            "\"query\":\"Which?\",\"documents\":[\"one\",{\"text\":\"a longer one\"},\"five\"]";

    private static Broker broker;
    private static FakeUpstream fake;
    private static PenstockProcess penstock;
    private static ReplyLog replies;

    @BeforeAll
    static void start() throws InterruptedException {
        broker = Broker.start();
        fake = FakeUpstream.start();
        PenstockProcess.Builder builder =
                PenstockProcess.with(broker.bootstrap()).config("penstock.kafka.max-record", "1048576");
        for (String backend : SERVERS) {
            builder.node(backend, backend, URI.create(fake.url()), 4)
                    .config("penstock.nodes." + backend + ".model", "tiny");
        }
        penstock = builder.config("penstock.nodes.ollama.pool", "mixed")
                .config("penstock.nodes.openai-compatible.pool", "mixed")
                .startReady();
        replies = ReplyLog.follow(broker.bootstrap());
        for (String backend : SERVERS) {
            Metrics.await(penstock, "penstock_node_up{node=\"" + backend + "\"}", 1, PATIENCE);
        }
    }

    @AfterAll
    static void stop() {
        replies.close();
        penstock.close();
        fake.close();
        broker.close();
    }

    @BeforeEach
    void answerAsUsual() {
        fake.flavour(Flavour.VLLM).script(_ -> Answer.of());
        fake.reset();
    }

    @ParameterizedTest
    @ValueSource(strings = {"vllm", "llama-server", "openai-compatible"})
    void documents_are_ranked(String backend) throws InterruptedException {
        fake.flavour(backend.equals("vllm") ? Flavour.VLLM : Flavour.LLAMA_SERVER);

        ReplyLog.Event outcome = run(DOCUMENTS, "\"task\":\"rerank\",\"node\":\"" + backend + "\"");

        assertThat(outcome.mark().kind()).as(outcome.value()).isEqualTo(EventMark.Kind.COMPLETED);
        JsonNode results = outcome.json().path("results");
        assertThat(results).hasSize(3);
        assertThat(results.findValuesAsText("index")).containsExactly("1", "2", "0");
        assertThat(results.at("/0/document/text").asText()).isEqualTo("a longer one");
        assertThat(results.at("/0/relevance_score").doubleValue()).isEqualTo(Scores.of("Which?", "a longer one"));
        assertThat(outcome.json().at("/usage/prompt_tokens").asInt()).isEqualTo(3);
        assertThat(outcome.json().at("/job/node").asText()).isEqualTo(backend);
        assertThat(fake.stats().requests()).isEqualTo(1);
        assertThat(fake.requests().getLast().request().path()).isEqualTo("/v1/rerank");
        assertThat(replies.count(outcome.id(), EventMark.Kind.CHUNK)).isZero();

        JsonNode polled = Rest.get(penstock.url(), "/v1/jobs/" + outcome.id(), "Prefer", "wait=30")
                .json();
        SCHEMAS.check("job-object.schema.json", polled.toString());
        assertThat(polled.path("task").asText()).isEqualTo("rerank");
        assertThat(polled.at("/response/results")).hasSize(3);
    }

    @Test
    void a_ranking_is_as_long_as_asked_and_has_no_documents_if_asked() throws InterruptedException {
        ReplyLog.Event outcome = run(DOCUMENTS + ",\"top_n\":2,\"return_documents\":false", "\"node\":\"vllm\"");

        assertThat(outcome.json().path("results")).hasSize(2);
        assertThat(outcome.json().at("/results/0").has("document")).isFalse();
    }

    @ParameterizedTest
    @CsvSource({"vllm, /v1/score", "llama-server, /v1/rerank"})
    void pairs_are_scored(String backend, String path) throws InterruptedException {
        ReplyLog.Event outcome =
                run("\"text_1\":\"Which?\",\"text_2\":[\"one\",\"a longer one\"]", "\"node\":\"" + backend + "\"");

        assertThat(outcome.json().path("object").asText()).as(outcome.value()).isEqualTo("list");
        assertThat(outcome.json().at("/data/0/score").doubleValue()).isEqualTo(Scores.of("Which?", "one"));
        assertThat(outcome.json().at("/data/1/score").doubleValue()).isEqualTo(Scores.of("Which?", "a longer one"));
        assertThat(fake.requests().getLast().request().path()).isEqualTo(path);
    }

    /** Ollama is asked first for nothing: the ranking runs at the other node of its pool. */
    @Test
    void a_node_that_cannot_rank_leaves_the_job_to_others() throws InterruptedException {
        ReplyLog.Event pinned = run(DOCUMENTS, "\"node\":\"ollama\"");
        assertThat(pinned.json().at("/error/code").asText()).isEqualTo("model_not_found");
        assertThat(pinned.json().at("/error/message").asText()).contains("ollama has no rerank");

        ReplyLog.Event free = run(DOCUMENTS, "\"pool\":\"mixed\"");
        assertThat(free.json().at("/job/node").asText()).as(free.value()).isEqualTo("openai-compatible");
        assertThat(free.json().path("results")).hasSize(3);
    }

    @Test
    void a_server_without_a_model_for_it_says_so() throws InterruptedException {
        fake.script(_ -> Answer.refuse(501, "This server does not support reranking. Start it with `--reranking`"));

        ReplyLog.Event outcome = run(DOCUMENTS, "\"node\":\"llama-server\"");

        assertThat(outcome.json().at("/error/code").asText()).isEqualTo("model_not_found");
        assertThat(outcome.json().at("/error/message").asText())
                .contains("compares no texts: name another model", "--reranking");
    }

    @Test
    void a_ranking_that_no_record_can_hold_ends_with_the_way_out() throws InterruptedException {
        String documents = ("\"" + "x".repeat(480) + "\",").repeat(2_047) + "\"y\"";
        String body = "\"query\":\"Which?\",\"documents\":[" + documents + "]";

        ReplyLog.Event outcome = run(body, "\"node\":\"vllm\"");
        assertThat(outcome.json().at("/error/code").asText()).isEqualTo("too_large");
        assertThat(outcome.json().at("/error/message").asText())
                .contains("penstock.kafka.max-record", "set return_documents to false");

        ReplyLog.Event without = run(body + ",\"return_documents\":false", "\"node\":\"vllm\"");
        assertThat(without.json().path("results")).hasSize(2_048);
    }

    @Test
    void a_form_without_an_image_is_refused_with_its_field() throws InterruptedException {
        Rest.Reply none = form("--XX\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\nWhat?\r\n--XX--\r\n");
        Rest.Reply text = form(
                "--XX\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a\"\r\nContent-Type: image/png\r\n\r\nhello\r\n--XX--\r\n");
        Rest.Reply broken = form("hello");

        for (Rest.Reply reply : List.of(none, text, broken)) {
            assertThat(reply.status()).as(reply.body()).isEqualTo(400);
            SCHEMAS.check("error.schema.json", reply.body());
        }
        assertThat(none.json().at("/error/message").asText()).isEqualTo("image: is needed: a file");
        assertThat(text.json().at("/error/message").asText()).isEqualTo("image: is no PNG, JPEG, GIF or WebP image");
        assertThat(broken.json().at("/error/message").asText()).contains("does not begin with its boundary");
    }

    @Test
    void a_form_of_another_web_page_is_refused() throws InterruptedException {
        Rest.Reply foreign = form("--XX--", "Origin", "http://evil.example");
        Rest.Reply unmarked = form("--XX--", "User-Agent", "Mozilla/5.0 (X11; Linux x86_64)");
        Rest.Reply elsewhere = Rest.post(penstock.url(), "/v1/rerank", "multipart/form-data; boundary=XX", "--XX--");

        assertThat(foreign.status()).isEqualTo(403);
        assertThat(unmarked.status()).isEqualTo(403);
        assertThat(elsewhere.status()).isEqualTo(415);
    }

    @Test
    void a_form_has_the_limit_of_other_bodies() throws InterruptedException {
        Rest.Reply large = form("--XX\r\n" + "x".repeat(1_100_000));

        assertThat(large.status()).isEqualTo(413);
        assertThat(large.json().at("/error/code").asText()).isEqualTo("too_large");
    }

    private static Rest.Reply form(String body, String... headers) throws InterruptedException {
        return Rest.post(penstock.url(), "/v1/describe", "multipart/form-data; boundary=XX", body, headers);
    }

    private static ReplyLog.Event run(String body, String job) throws InterruptedException {
        String id = "task-" + UUID.randomUUID();
        String document = "{%s,\"job\":{\"id\":\"%s\",\"max_attempts\":2,%s}}".formatted(body, id, job);
        SCHEMAS.check("job.schema.json", document);
        Rest.Reply reply = Rest.post(penstock.url(), "/v1/jobs", "application/json", document);
        assertThat(reply.status()).as(reply.body()).isEqualTo(202);
        replies.awaitOutcomes(List.of(id), PATIENCE);
        for (ReplyLog.Event event : replies.all(id)) {
            SCHEMAS.check("event.schema.json", event.value());
        }
        return replies.outcome(id);
    }
}
