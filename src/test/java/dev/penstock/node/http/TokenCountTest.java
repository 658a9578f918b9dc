package dev.penstock.node.http;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.Task;
import dev.penstock.node.protocol.Prompt;
import dev.penstock.settings.Backend;
import dev.penstock.settings.NodeSettings;
import dev.penstock.testkit.upstream.Recording;
import dev.penstock.wire.Json;
import io.vertx.core.Vertx;
import io.vertx.core.http.HttpServer;
import java.net.URI;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalLong;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.EnumSource.Mode;

class TokenCountTest {
    private static final Map<String, Object> CHAT = Map.of(
            "messages",
            List.of(
                    Map.of("role", "system", "content", "Be brief."),
                    Map.of("role", "user", "content", "Tell me about the river")),
            "max_tokens",
            9,
            "temperature",
            0.5,
            "stop",
            List.of("END"),
            "user",
            "u1");

    private final Vertx vertx = Vertx.vertx();
    private final List<String> asked = new CopyOnWriteArrayList<>();

    @AfterEach
    void close() {
        vertx.close().toCompletionStage().toCompletableFuture().join();
    }

    @ParameterizedTest
    @CsvSource({
        "VLLM, vllm/anthropic-count-tokens, 27",
        "ANTHROPIC, vllm/anthropic-count-tokens, 27",
        "LLAMA_SERVER, llama-server/anthropic-count-tokens, 28"
    })
    void a_server_counts_the_prompt_and_gets_nothing_else(Backend backend, String recording, long tokens)
            throws InterruptedException {
        URI server = serve(200, Recording.of(recording).body());

        assertThat(count(backend, server)).hasValue(tokens);

        assertThat(asked).hasSize(1);
        assertThat(asked.getFirst()).startsWith("POST /v1/messages/count_tokens ");
        JsonNode body =
                Objects.requireNonNull(Json.parseLenient(asked.getFirst().split(" ", 3)[2]));
        assertThat(body)
                .isEqualTo(
                        Json.parseLenient(
                                "{\"model\":\"tiny\",\"system\":[{\"type\":\"text\",\"text\":\"Be brief.\"}],\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"Tell me about the river\"}]}]}"));
    }

    @ParameterizedTest
    @EnumSource(
            mode = Mode.EXCLUDE,
            names = {"VLLM", "ANTHROPIC", "LLAMA_SERVER", "LLAMA_CLI"})
    void another_server_is_not_asked(Backend backend) throws InterruptedException {
        assertThat(count(backend, serve(200, "{\"input_tokens\":27}"))).isEmpty();
        assertThat(asked).isEmpty();
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            400 | {"type":"error","error":{"type":"invalid_request_error","message":"no"}}
            404 | not found
            500 | {"input_tokens":27}
            200 | <html>
            200 | {}
            200 | {"input_tokens":null}
            200 | {"input_tokens":"many"}
            200 | {"input_tokens":-1}
            """)
    void without_a_count_in_the_answer_there_is_none(int status, String answer) throws InterruptedException {
        assertThat(count(Backend.VLLM, serve(status, answer))).isEmpty();
        assertThat(asked).hasSize(1);
    }

    @Test
    void a_server_that_is_gone_counts_nothing() throws InterruptedException {
        assertThat(count(Backend.VLLM, URI.create("http://127.0.0.1:1"))).isEmpty();
    }

    private OptionalLong count(Backend backend, URI server) throws InterruptedException {
        try (NodeClient client = new NodeClient(NodeSettings.at(backend, server), vertx, Duration.ofSeconds(2))) {
            return client.countTokens(Prompt.of(Task.CHAT, "tiny", CHAT, Map.of(), Map.of(), 0));
        }
    }

    private URI serve(int status, String answer) {
        HttpServer server = vertx.createHttpServer()
                .requestHandler(request -> request.body().onSuccess(body -> {
                    asked.add(request.method() + " " + request.uri() + " " + body);
                    var _ = request.response().setStatusCode(status).end(answer);
                }))
                .listen(0, "127.0.0.1")
                .toCompletionStage()
                .toCompletableFuture()
                .join();
        return URI.create("http://127.0.0.1:" + server.actualPort());
    }
}
