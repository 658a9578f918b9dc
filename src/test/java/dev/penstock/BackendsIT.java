package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.EventMark;
import dev.penstock.settings.Backend;
import dev.penstock.testkit.Broker;
import dev.penstock.testkit.Metrics;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.ReplyLog;
import dev.penstock.testkit.Rest;
import dev.penstock.testkit.WireSchemas;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.FakeUpstream;
import dev.penstock.testkit.upstream.Vectors;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** A node of each backend in one service: every task, from a job to its outcome. */
class BackendsIT {
    /** All but llama-cli, which is no server: StartedProgramsIT. */
    private static final Set<Backend> SERVERS = EnumSet.complementOf(EnumSet.of(Backend.LLAMA_CLI));

    private static final Duration PATIENCE = Duration.ofSeconds(90);
    private static final WireSchemas SCHEMAS = new WireSchemas();
    private static final String PNG = "iVBORw0KGgoAAAANSUhEUg==";
    private static final String KEY = "sk-not-the-real-one-qzxv";

    private static Broker broker;
    private static FakeUpstream fake;
    private static PenstockProcess penstock;
    private static ReplyLog replies;

    @BeforeAll
    static void start() throws InterruptedException {
        broker = Broker.start();
        fake = FakeUpstream.start();
        PenstockProcess.Builder builder = PenstockProcess.with(broker.bootstrap())
                .config("penstock.parameters.temperature", "0.35")
                .config("penstock.parameters.mirostat", "0")
                .config("penstock.kafka.max-record", "1048576")
                .config("penstock.images.allowed-hosts", "localhost:" + fake.port());
        for (Backend backend : SERVERS) {
            String node = "penstock.nodes." + backend.wireName();
            builder.node(backend.wireName(), backend.wireName(), URI.create(fake.url()), 4)
                    .config(node + ".model", "tiny")
                    .config(node + ".api-key", KEY)
                    .config(node + ".headers.X-Team", "the-team-of-" + backend.wireName())
                    .config(node + ".embedding-batch", "2")
                    .config(node + ".timeouts.first-token", "2s")
                    .config(node + ".timeouts.idle", "1s")
                    .config(node + ".extra-body.from_the_node", "7");
        }
        penstock = builder.startReady();
        replies = ReplyLog.follow(broker.bootstrap());
        for (Backend backend : SERVERS) {
            Metrics.await(penstock, "penstock_node_up{node=\"" + backend.wireName() + "\"}", 1, PATIENCE);
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
        fake.script(_ -> Answer.unicode(20).every(Duration.ofMillis(3)));
        fake.reset();
    }

    @ParameterizedTest
    @EnumSource(value = Backend.class, mode = EnumSource.Mode.EXCLUDE, names = "LLAMA_CLI")
    void a_chat_is_answered_and_what_was_ignored_is_named(Backend backend) throws InterruptedException {
        ReplyLog.Event outcome =
                run(backend, "\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],\"max_tokens\":9,\"unheard_of\":1");

        assertThat(outcome.mark().kind()).as(outcome.value()).isEqualTo(EventMark.Kind.COMPLETED);
        assertThat(replies.completedText(outcome.id()))
                .isEqualTo(Answer.unicode(20).joined());
        assertThat(replies.chunkText(outcome.id())).isEqualTo(replies.completedText(outcome.id()));
        assertThat(outcome.json().at("/usage/completion_tokens").asInt()).isEqualTo(20);
        List<String> ignored = new ArrayList<>();
        outcome.json().at("/job/ignored_parameters").forEach(name -> ignored.add(name.asText()));
        assertThat(ignored)
                .containsExactly(backend == Backend.OPENAI_COMPATIBLE ? new String[0] : new String[] {"unheard_of"});
        String sent = fake.requests().getLast().request().body().toString();
        assertThat(sent).as("the defaults and the node's own").contains("0.35").contains("\"from_the_node\":7");
        assertThat(fake.requests().getLast().request().headers())
                .containsEntry("x-team", "the-team-of-" + backend.wireName())
                .anySatisfy((_, value) -> assertThat(value).contains(KEY));
    }

    @ParameterizedTest
    @EnumSource(value = Backend.class, mode = EnumSource.Mode.EXCLUDE, names = "LLAMA_CLI")
    void a_completion_is_answered(Backend backend) throws InterruptedException {
        ReplyLog.Event outcome = run(backend, "\"prompt\":\"Hi\",\"system\":\"Be brief.\"");

        assertThat(outcome.json().path("object").asText()).as(outcome.value()).isEqualTo("text_completion");
        assertThat(replies.completedText(outcome.id()))
                .isEqualTo(Answer.unicode(20).joined());
        assertThat(replies.chunkText(outcome.id())).isEqualTo(replies.completedText(outcome.id()));
    }

    @ParameterizedTest
    @EnumSource(
            value = Backend.class,
            names = {"ANTHROPIC", "LLAMA_CLI"},
            mode = EnumSource.Mode.EXCLUDE)
    void embeddings_keep_their_order_over_the_batches(Backend backend) throws InterruptedException {
        ReplyLog.Event outcome = run(backend, "\"input\":[\"one\",\"three\",\"a longer one\",\"\",\"5\"]");

        assertThat(outcome.mark().kind()).as(outcome.value()).isEqualTo(EventMark.Kind.COMPLETED);
        JsonNode data = outcome.json().path("data");
        assertThat(data).hasSize(5);
        assertThat(data.at("/2/embedding/0").floatValue())
                .isEqualTo(Vectors.of("a longer one").getFirst());
        assertThat(data.at("/4/index").asInt()).isEqualTo(4);
        assertThat(outcome.json().at("/usage/prompt_tokens").asInt()).isEqualTo(5);
        assertThat(fake.stats().requests()).isEqualTo(3);
        assertThat(replies.count(outcome.id(), EventMark.Kind.CHUNK)).isZero();
        ReplyLog.Event base64 = run(backend, "\"input\":\"one\",\"encoding_format\":\"base64\"");
        assertThat(base64.json().at("/data/0/embedding").isTextual()).isTrue();
        Rest.Reply polled = Rest.get(penstock.url(), "/v1/jobs/" + outcome.id(), "Prefer", "wait=30");
        assertThat(polled.json().at("/response/data")).hasSize(5);
    }

    @Test
    void embeddings_that_no_record_can_hold_end_with_the_way_out() throws InterruptedException {
        String numbers = "0.12345678,".repeat(100_000) + "1";
        fake.script(_ -> Answer.document(
                200, "{\"data\":[{\"index\":0,\"embedding\":[" + numbers + "]}],\"usage\":{\"prompt_tokens\":1}}"));

        ReplyLog.Event outcome = run(Backend.VLLM, "\"input\":\"much\"");

        assertThat(outcome.json().at("/error/code").asText()).isEqualTo("too_large");
        assertThat(outcome.json().at("/error/message").asText())
                .contains("penstock.kafka.max-record")
                .contains("base64");
    }

    @ParameterizedTest
    @EnumSource(value = Backend.class, mode = EnumSource.Mode.EXCLUDE, names = "LLAMA_CLI")
    void an_image_is_described_and_tagged(Backend backend) throws InterruptedException {
        String image = "\"images\":[\"" + PNG + "\"]";
        fake.script(_ -> Answer.of(" A cat", " on a sofa. "));
        ReplyLog.Event described = run(backend, image + ",\"prompt\":\"What is it?\"");
        assertThat(described.json().path("description").asText())
                .as(described.value())
                .isEqualTo("A cat on a sofa.");
        assertThat(described.json().path("object").asText()).isEqualTo("chat.completion");
        assertThat(fake.requests().getLast().request().body().toString()).contains(PNG);

        fake.script(_ -> Answer.of("```json\n{\"tags\":[\"cat\",", "\"sofa\"]}\n```"));
        ReplyLog.Event tagged = runWith(backend, image, "\"task\":\"tag\"");
        assertThat(tagged.json().path("tags")).as(tagged.value()).hasSize(2);

        fake.script(_ -> Answer.of("I am not able to see any image here, and so I cannot say what it shows."));
        ReplyLog.Event none = runWith(backend, image, "\"task\":\"tag\",\"max_attempts\":1");
        assertThat(none.json().at("/error/code").asText()).isEqualTo("node_error");
        assertThat(none.json().at("/error/message").asText()).contains("is no list of tags: 'I am not able");
    }

    @ParameterizedTest
    @EnumSource(value = Backend.class, mode = EnumSource.Mode.EXCLUDE, names = "LLAMA_CLI")
    void each_phase_has_its_timeout(Backend backend) throws InterruptedException {
        fake.script(_ -> Answer.tokens(5).stallBeforeResponse());
        assertThat(failureCode(backend)).isEqualTo("first_token_timeout");

        fake.script(_ -> Answer.tokens(5).stallAfter(2));
        assertThat(failureCode(backend)).isEqualTo("idle_timeout");

        fake.script(_ -> Answer.tokens(100_000).every(Duration.ofMillis(50)));
        ReplyLog.Event timeout = runWith(backend, "\"prompt\":\"Hi\"", "\"timeout\":\"PT1S\"");
        assertThat(timeout.json().at("/error/code").asText()).isEqualTo("timeout");
        fake.awaitInFlight(0, PATIENCE);
    }

    @ParameterizedTest
    @EnumSource(value = Backend.class, mode = EnumSource.Mode.EXCLUDE, names = "LLAMA_CLI")
    void a_cancel_ends_the_request_at_the_server(Backend backend) throws InterruptedException {
        fake.script(_ -> Answer.tokens(100_000).every(Duration.ofMillis(20)));
        String id = submit(backend, "\"prompt\":\"Hi\"", "\"max_attempts\":1");
        fake.awaitInFlight(1, PATIENCE);

        assertThat(Rest.delete(penstock.url(), "/v1/jobs/" + id).status()).isEqualTo(202);

        replies.awaitOutcomes(List.of(id), PATIENCE);
        assertThat(replies.outcome(id).mark().kind()).isEqualTo(EventMark.Kind.CANCELLED);
        fake.awaitInFlight(0, PATIENCE);
    }

    @Test
    void a_key_is_in_no_message_and_no_log() throws InterruptedException {
        fake.script(_ -> Answer.refuse(401, "Incorrect API key provided: " + KEY));
        for (Backend backend : SERVERS) {
            ReplyLog.Event outcome = runWith(backend, "\"prompt\":\"Hi\"", "\"max_attempts\":1");
            assertThat(outcome.json().at("/error/code").asText()).isEqualTo("node_unauthorized");
            assertThat(outcome.value()).doesNotContain(KEY).doesNotContain("qzxv");
            assertThat(Rest.get(penstock.url(), "/v1/nodes/" + backend.wireName())
                            .body())
                    .doesNotContain(KEY);
        }
        assertThat(String.join("\n", penstock.process().output())).doesNotContain(KEY);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            "images":["http://169.254.169.254/latest/meta-data"]                                                     | images[0]
            "images":["file:///etc/passwd"]                                                                          | images[0]
            "messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"http://10.0.0.1/x.png"}}]}] | messages[0].content[0].image_url.url
            "messages":[{"role":"user","content":[{"type":"video_url","video_url":{"url":"https://evil.example/v"}}]}] | messages[0].content[0].video_url.url
            "prompt":"Hi","id_slot":3                                                                                | id_slot
            "prompt":"Hi","priority":-5                                                                              | priority
            """)
    void what_would_reach_further_than_the_model_is_refused(String body, String param) throws InterruptedException {
        Rest.Reply reply = Rest.post(penstock.url(), "/v1/jobs", "application/json", "{" + body + "}");

        assertThat(reply.status()).isEqualTo(400);
        assertThat(reply.json().at("/error/param").asText()).isEqualTo(param);
        assertThat(fake.stats().requests()).isZero();
    }

    @Test
    void an_allowed_host_with_a_private_address_is_refused_at_the_fetch() throws InterruptedException {
        ReplyLog.Event outcome = run(Backend.VLLM, "\"images\":[\"http://localhost:" + fake.port() + "/v1/models\"]");

        assertThat(outcome.json().at("/error/code").asText())
                .as(outcome.value())
                .isEqualTo("invalid_request");
        assertThat(outcome.json().at("/error/message").asText())
                .contains("images[0]: the host localhost has an address that is not public");
        assertThat(fake.stats().requests()).isZero();
    }

    @Test
    void anthropics_signed_thinking_and_its_cache_come_out() throws InterruptedException {
        String stream = """
                data: {"type":"message_start","message":{"role":"assistant","usage":{"input_tokens":21,"cache_creation_input_tokens":188,"cache_read_input_tokens":1800,"output_tokens":1}}}
                data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}
                data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Step by step"}}
                data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"EqQBCgIYAhIM"}}
                data: {"type":"content_block_stop","index":0}
                data: {"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}
                data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Done."}}
                data: {"type":"content_block_stop","index":1}
                data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":9}}
                data: {"type":"message_stop"}
                """.replace("\n", "\n\n");
        String head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
        fake.script(_ -> Answer.raw((head + stream).getBytes(StandardCharsets.UTF_8)));

        ReplyLog.Event outcome = run(
                Backend.ANTHROPIC,
                "\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":2000}");

        JsonNode message = outcome.json().at("/choices/0/message");
        assertThat(message.path("content").asText()).as(outcome.value()).isEqualTo("Done.");
        assertThat(message.path("reasoning").asText()).isEqualTo("Step by step");
        assertThat(message.at("/thinking_blocks/0/signature").asText()).isEqualTo("EqQBCgIYAhIM");
        List<JsonNode> inChunks = new ArrayList<>();
        replies.all(outcome.id())
                .forEach(event ->
                        event.json().at("/choices/0/delta/thinking_blocks").forEach(inChunks::add));
        assertThat(inChunks).containsExactly(message.at("/thinking_blocks/0"));
        assertThat(outcome.json().at("/usage/prompt_tokens").asInt()).isEqualTo(2009);
        assertThat(outcome.json()
                        .at("/usage/prompt_tokens_details/cached_tokens")
                        .asInt())
                .isEqualTo(1800);
        JsonNode sent = fake.requests().getLast().request().body();
        assertThat(sent.at("/thinking/budget_tokens").asInt()).isEqualTo(2000);
        assertThat(sent.has("temperature")).as("the service's default").isFalse();
    }

    @Test
    void a_job_may_name_another_deployment_of_azure() throws InterruptedException {
        ReplyLog.Event chat = run(
                Backend.AZURE_OPENAI, "\"model\":\"another\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]");

        assertThat(chat.mark().kind()).as(chat.value()).isEqualTo(EventMark.Kind.COMPLETED);
        assertThat(chat.json().at("/job/model").asText()).isEqualTo("another");
        assertThat(fake.requests().getLast().request().path())
                .isEqualTo("/openai/deployments/another/chat/completions");
        run(Backend.AZURE_OPENAI, "\"model\":\"vectors\",\"input\":\"Hi\"");
        assertThat(fake.requests().getLast().request().path()).isEqualTo("/openai/deployments/vectors/embeddings");

        fake.script(_ -> Answer.refuse(404, "The API deployment for this resource does not exist."));
        ReplyLog.Event missing = run(Backend.AZURE_OPENAI, "\"model\":\"missing\",\"prompt\":\"Hi\"");
        assertThat(missing.json().at("/error/code").asText()).isEqualTo("model_not_found");
        assertThat(missing.json().at("/error/message").asText()).contains("missing", "make a deployment of that name");
    }

    private static String failureCode(Backend backend) throws InterruptedException {
        ReplyLog.Event outcome = runWith(backend, "\"prompt\":\"Hi\"", "\"max_attempts\":1");
        assertThat(outcome.json().at("/error/node").asText()).isEqualTo(backend.wireName());
        return outcome.json().at("/error/code").asText();
    }

    private static ReplyLog.Event run(Backend backend, String body) throws InterruptedException {
        return runWith(backend, body, "\"max_attempts\":2");
    }

    private static ReplyLog.Event runWith(Backend backend, String body, String job) throws InterruptedException {
        String id = submit(backend, body, job);
        replies.awaitOutcomes(List.of(id), PATIENCE);
        for (ReplyLog.Event event : replies.all(id)) {
            SCHEMAS.check("event.schema.json", event.value());
        }
        return replies.outcome(id);
    }

    private static String submit(Backend backend, String body, String job) throws InterruptedException {
        String id = backend.wireName() + "-" + UUID.randomUUID();
        String document =
                "{%s,\"job\":{\"id\":\"%s\",\"node\":\"%s\",%s}}".formatted(body, id, backend.wireName(), job);
        SCHEMAS.check("job.schema.json", document);
        Rest.Reply reply = Rest.post(penstock.url(), "/v1/jobs", "application/json", document);
        assertThat(reply.status()).as(reply.body()).isEqualTo(202);
        return id;
    }
}
