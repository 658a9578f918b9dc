package dev.penstock.node.models;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.penstock.node.http.NodeClient;
import dev.penstock.settings.Backend;
import dev.penstock.settings.NodeSettings;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.FakeUpstream;
import dev.penstock.testkit.upstream.UpstreamRequest;
import io.vertx.core.Vertx;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class RouterModelsTest {
    private static final Duration PATIENCE = Duration.ofSeconds(20);
    private static Vertx vertx;

    @BeforeAll
    static void open() {
        vertx = Vertx.vertx();
    }

    @AfterAll
    static void close() {
        vertx.close();
    }

    /** Another client loads it, and a router unloads it when it is idle. */
    @Timeout(60)
    @ParameterizedTest
    @ValueSource(strings = {"loaded", "sleeping"})
    void a_model_that_a_router_loads_already_is_waited_for(String end) throws Exception {
        Router scripted = new Router("one", "loading");
        List<ModelTransfer.State.Running> seen = new ArrayList<>();
        try (FakeUpstream router = FakeUpstream.start().probes(scripted::answer);
                NodeClient client = client(router)) {
            new RouterModels().fetch(client, "one", running -> {
                seen.add(running);
                scripted.status.set(end);
            });

            assertThat(router.stats().on("/models/load")).isEqualTo(1);
        }
        assertThat(seen).isNotEmpty().allMatch(running -> running.status().equals("loading"));
    }

    @Timeout(60)
    @Test
    void a_load_ends_when_another_client_unloads_the_model() throws Exception {
        Router scripted = new Router("one", "loading");
        try (FakeUpstream router = FakeUpstream.start().probes(scripted::answer);
                NodeClient client = client(router)) {
            assertThatThrownBy(() -> new RouterModels(Duration.ofMillis(300))
                            .fetch(client, "one", _ -> scripted.status.set("unloaded")))
                    .hasMessageContaining("another client has unloaded it");
        }
    }

    @Timeout(60)
    @Test
    void a_download_of_a_router_reports_its_progress_and_ends_when_the_model_is_there() throws Exception {
        Router scripted = new Router("user/repo:Q4", "downloading");
        List<Double> percents = new ArrayList<>();
        try (FakeUpstream router = FakeUpstream.start().probes(scripted::answer);
                NodeClient client = client(router)) {
            new RouterModels().fetch(client, "hf:user/repo:Q4", running -> {
                assertThat(running.status()).isEqualTo("downloading");
                Double percent = running.percent();
                if (percent != null) {
                    percents.add(percent);
                    scripted.status.set(percent == 62.5 ? "unloaded" : "downloading");
                }
            });

            assertThat(router.stats().on("/models")).isEqualTo(1);
            assertThat(router.stats().on("/models/load")).isZero();
        }
        assertThat(percents).containsExactly(25.0, 62.5);
    }

    private static NodeClient client(FakeUpstream router) {
        return new NodeClient(NodeSettings.at(Backend.LLAMA_SERVER, URI.create(router.url())), vertx, PATIENCE);
    }

    /** A llama-server without a model of its own. The test sets the state of its models. */
    private static final class Router {
        private static final String EVENT =
                "data: {\"model\":\"%s\",\"event\":\"progress\",\"data\":{\"progress\":{\"value\":%s}}}\n\n";

        private final String model;
        private final AtomicReference<String> status;
        private final AtomicBoolean listed;

        Router(String model, String status) {
            this.model = model;
            this.status = new AtomicReference<>(status);
            listed = new AtomicBoolean(!status.equals("downloading"));
        }

        Optional<Answer> answer(UpstreamRequest request) {
            return switch (request.method() + " " + request.path()) {
                case "GET /props" -> Optional.of(Answer.document(200, "{\"role\":\"router\",\"total_slots\":0}"));
                case "GET /v1/models" ->
                    Optional.of(Answer.document(
                            200,
                            listed.get()
                                    ? "{\"data\":[{\"id\":\"%s\",\"object\":\"model\",\"status\":{\"value\":\"%s\"}}]}"
                                            .formatted(model, status.get())
                                    : "{\"data\":[]}"));
                case "POST /models/load" ->
                    Optional.of(Answer.document(
                            400, "{\"error\":{\"code\":400,\"message\":\"model is already running\"}}"));
                case "POST /models" -> {
                    listed.set(true);
                    yield Optional.of(Answer.document(200, "{\"success\":true}"));
                }
                case "GET /models/sse" -> {
                    String events = EVENT.formatted("other", "0.99")
                            + EVENT.formatted(model, "0.25")
                            + EVENT.formatted(model, "0.625");
                    String head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
                    yield Optional.of(Answer.raw((head + events).getBytes(StandardCharsets.UTF_8))
                            .stalling());
                }
                default -> Optional.empty();
            };
        }
    }
}
