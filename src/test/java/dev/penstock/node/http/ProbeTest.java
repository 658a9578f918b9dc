package dev.penstock.node.http;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.settings.Backend;
import dev.penstock.settings.NodeSettings;
import io.vertx.core.Vertx;
import io.vertx.core.http.HttpServer;
import io.vertx.core.http.HttpServerRequest;
import java.net.URI;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ProbeTest {
    private static final String KEY = "sk-the-key-of-the-first";
    private static final String PAGE = "<title>the-inside</title>";

    private final Vertx vertx = Vertx.vertx();
    private final List<String> elsewhere = new CopyOnWriteArrayList<>();

    @AfterEach
    void close() {
        vertx.close().toCompletionStage().toCompletableFuture().join();
    }

    private URI serve(io.vertx.core.Handler<HttpServerRequest> answer) {
        HttpServer server = vertx.createHttpServer()
                .requestHandler(answer)
                .listen(0, "127.0.0.1")
                .toCompletionStage()
                .toCompletableFuture()
                .join();
        return URI.create("http://127.0.0.1:" + server.actualPort());
    }

    @ParameterizedTest
    @ValueSource(ints = {200, 301, 302, 303, 307, 308, 400, 401, 403, 404, 418, 429, 500, 503})
    void it_shows_nothing_of_a_page_and_takes_its_key_nowhere_else(int status) throws Exception {
        URI other = serve(request -> {
            elsewhere.add(request.method() + " " + request.uri());
            var _ = request.response().end("{\"object\":\"list\",\"data\":[]}");
        });
        URI server = serve(request -> {
            var _ = request.response()
                    .setStatusCode(status)
                    .putHeader("Location", other + request.uri())
                    .end(PAGE);
        });

        for (Backend backend : List.of(Backend.VLLM, Backend.OLLAMA, Backend.ANTHROPIC, Backend.OPENAI_COMPATIBLE)) {
            String words = words(backend, server);

            assertThat(words).contains("answered " + status).doesNotContain("the-inside", KEY);
        }
        assertThat(elsewhere).isEmpty();
    }

    @Test
    void an_error_in_json_is_not_shown_either() throws Exception {
        URI server = serve(request -> {
            var _ = request.response().setStatusCode(401).end("{\"error\":{\"message\":\"the-inside\"}}");
        });

        assertThat(words(Backend.OPENAI_COMPATIBLE, server))
                .contains("answered 401", "penstock.nodes.new.api-key")
                .doesNotContain("the-inside");
    }

    private String words(Backend backend, URI url) throws InterruptedException {
        NodeSettings node =
                new NodeSettings("new", backend, url, "cpu", OptionalInt.empty(), null, KEY, Map.of("X-Team", "a"));
        try (NodeClient client = new NodeClient(node, vertx, Duration.ofSeconds(2))) {
            return Probe.of(client).toString();
        }
    }
}
