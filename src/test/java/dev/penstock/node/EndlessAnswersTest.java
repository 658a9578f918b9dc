package dev.penstock.node;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.JobFailure;
import dev.penstock.job.Task;
import dev.penstock.node.http.NodeClient;
import dev.penstock.node.http.Probe;
import dev.penstock.node.protocol.Prompt;
import dev.penstock.node.upstream.ProbeResult;
import dev.penstock.settings.Backend;
import dev.penstock.settings.NodeSettings;
import dev.penstock.settings.Settings;
import dev.penstock.testkit.Conditions;
import dev.penstock.testkit.EndlessServer;
import io.vertx.core.Vertx;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** An endless answer of a model server is read up to its limit, and the failure names the limit and the server. */
@Timeout(60)
class EndlessAnswersTest {
    private static Vertx vertx;
    private static final Duration PATIENCE = Duration.ofSeconds(30);
    private static final Settings.Answers LIMITS = new Settings.Answers(1 << 20, 200_000, 200_000, 300_000, 2 << 20);
    private static final String EVENTS = "text/event-stream";
    private static final String DELTA = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"word \"}}]}\n\n";

    private final EndlessServer server = new EndlessServer();

    @AfterEach
    void close() {
        server.close();
    }

    @BeforeAll
    static void open() {
        vertx = Vertx.vertx();
    }

    @AfterAll
    static void closeAll() {
        vertx.close().toCompletionStage().toCompletableFuture().join();
    }

    @Test
    void an_answer() throws Exception {
        server.says(200, EVENTS, "", DELTA);

        assertNamed(failure(Backend.VLLM, chat()), "penstock.answers.max-bytes");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"data: {\"choices\":[{\"delta\":{\"content\":\"", "", "{\"choices\":[{\"text\":\"", "\uFEFF: "})
    void a_line(String begin) throws Exception {
        server.says(200, EVENTS, begin, "x");

        assertNamed(failure(Backend.VLLM, chat()), "penstock.answers.max-line");
    }

    @Test
    void a_line_of_ollama() throws Exception {
        server.says(200, "application/x-ndjson", "{\"message\":{\"content\":\"", "x");

        assertNamed(failure(Backend.OLLAMA, chat()), "penstock.answers.max-line");
    }

    /** The answer is complete, and further data does not keep the connection open. */
    @ParameterizedTest
    @ValueSource(strings = {DELTA, "x"})
    void what_comes_after_the_end(String again) throws Exception {
        server.says(
                200,
                EVENTS,
                "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
                again);

        Heard heard = heard(Backend.VLLM, chat());

        heard.assertWhole();
        assertHungUp();
    }

    @Test
    void a_document_of_embeddings() throws Exception {
        server.says(200, "application/json", "{\"data\":[{\"index\":0,\"embedding\":[0.1", ",0.1");

        assertNamed(
                failure(Backend.VLLM, prompt(Task.EMBEDDINGS, Map.of("input", List.of("a")))),
                "penstock.answers.max-embeddings");
    }

    @Test
    void an_error() throws Exception {
        server.says(500, "text/plain", "it broke ", "x");

        JobFailure failure = failure(Backend.VLLM, chat());

        assertThat(failure.code()).isEqualTo(JobFailure.Code.NODE_ERROR);
        assertThat(failure.message()).contains("500", "it broke").hasSizeLessThan(2_100);
        assertHungUp();
    }

    @Test
    void a_list_of_models() throws Exception {
        server.says(200, "application/json", "{\"data\":[{\"id\":\"a\"}", ",{\"id\":\"a\"}");

        try (NodeClient client = client(Backend.OPENAI_COMPATIBLE)) {
            ProbeResult result = Probe.of(client);

            assertThat(result)
                    .isInstanceOfSatisfying(
                            ProbeResult.Away.class,
                            away -> assertThat(away.toString())
                                    .contains(
                                            "penstock.answers.max-listing",
                                            "/v1/models",
                                            server.url().toString()));
        }
        assertHungUp();
    }

    private void assertNamed(JobFailure failure, String limit) throws InterruptedException {
        assertThat(failure.code()).isEqualTo(JobFailure.Code.STREAM_BROKEN);
        assertThat(failure.message()).contains(limit, server.url().toString());
        assertHungUp();
        assertThat(server.sent()).as("and what the kernel holds").isLessThan(32 << 20);
    }

    private void assertHungUp() throws InterruptedException {
        Conditions.await(() -> server.hungUp() > 0, PATIENCE, "the server is hung up on");
    }

    private JobFailure failure(Backend backend, Prompt prompt) throws Exception {
        return heard(backend, prompt).requireFailure();
    }

    private Heard heard(Backend backend, Prompt prompt) throws Exception {
        try (NodeClient client = client(backend)) {
            return Heard.of(Stage.of(client, "m"), prompt);
        }
    }

    private NodeClient client(Backend backend) {
        return new NodeClient(NodeSettings.at(backend, server.url()), vertx, PATIENCE, LIMITS);
    }

    private static Prompt chat() {
        return prompt(Task.CHAT, Map.of("messages", List.of(Map.of("role", "user", "content", "hi"))));
    }

    private static Prompt prompt(Task task, Map<String, Object> body) {
        return Prompt.of(task, "m", body, Map.of(), Map.of(), 0);
    }
}
