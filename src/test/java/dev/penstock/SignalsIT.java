package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.testkit.Broker;
import dev.penstock.testkit.Conditions;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.Rest;
import dev.penstock.testkit.WireSchemas;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.FakeUpstream;
import java.net.URI;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;

/** Two equal nodes. One of them says in its metrics that other clients use it. */
class SignalsIT {
    private static final Duration PATIENCE = Duration.ofSeconds(60);
    private static final Duration A_SECOND = Duration.ofSeconds(1);
    private static final String JSON = "application/json";
    private static final String CHAT = "{\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}]%s}";
    private static final String PROMPT = "word ".repeat(400);
    private static final String BUSY = """
            vllm:num_requests_running{engine="0",model_name="tiny"} 8.0
            vllm:num_requests_waiting{engine="0",model_name="tiny"} 50.0
            vllm:kv_cache_usage_perc{engine="0",model_name="tiny"} 0.4
            """;
    private static final String IDLE = BUSY.replace("8.0", "0.0").replace("50.0", "0.0");

    /** Answers requests for metrics; an empty text is a server without them. */
    private static FakeUpstream vllm(AtomicReference<String> metrics) {
        return FakeUpstream.start()
                .script(_ -> Answer.tokens(3).every(Duration.ofMillis(30)))
                .probes(request ->
                        request.path().equals("/metrics") && !metrics.get().isEmpty()
                                ? Optional.of(Answer.document(200, metrics.get()))
                                : Optional.empty());
    }

    private static void run(PenstockProcess penstock, String job) throws InterruptedException {
        Rest.Reply reply =
                Rest.post(penstock.url(), "/v1/jobs", JSON, CHAT.formatted(PROMPT, job), "Prefer", "wait=30");
        assertThat(reply.json().path("status").asText()).as(reply.body()).isEqualTo("completed");
    }

    private static JsonNode node(PenstockProcess penstock, String name) throws InterruptedException {
        Rest.Reply reply = Rest.get(penstock.url(), "/v1/nodes/" + name);
        new WireSchemas().check("node-object.schema.json", reply.body());
        return reply.json();
    }

    private static JsonNode candidates(PenstockProcess penstock) throws InterruptedException {
        return Rest.post(penstock.url(), "/v1/route", JSON, CHAT.formatted(PROMPT, ""))
                .json()
                .path("candidates");
    }

    @Test
    void jobs_prefer_the_node_without_other_clients_until_the_figures_are_too_old() throws InterruptedException {
        AtomicReference<String> metrics = new AtomicReference<>(BUSY);
        try (Broker broker = Broker.start();
                FakeUpstream busy = vllm(metrics);
                FakeUpstream idle = vllm(new AtomicReference<>(IDLE));
                PenstockProcess penstock = PenstockProcess.with(broker.bootstrap())
                        .node("a-busy", "vllm", URI.create(busy.url()), 8)
                        .node("b-idle", "vllm", URI.create(idle.url()), 8)
                        .startReady()) {
            penstock.awaitLedger();
            for (String node : List.of("a-busy", "b-idle")) {
                run(penstock, ",\"job\":{\"node\":\"%s\"}".formatted(node));
            }
            Conditions.await(
                    () -> node(penstock, "a-busy").path("load_seconds").asDouble() > 0, PATIENCE, "no load is seen");
            assertThat(node(penstock, "a-busy").path("signals").path("source").asText())
                    .isEqualTo("vllm:/metrics");
            assertThat(node(penstock, "a-busy").path("signals").path("age_ms").asLong(-1))
                    .isBetween(0L, 5_000L);
            assertThat(node(penstock, "a-busy").path("signals").has("stale")).isFalse();
            busy.reset();
            idle.reset();

            for (int i = 0; i < 10; i++) {
                run(penstock, "");
            }

            assertThat(busy.requests()).isEmpty();
            assertThat(idle.requests()).hasSize(10);
            JsonNode route = candidates(penstock);
            assertThat(route.path(0).path("node").asText()).isEqualTo("b-idle");
            assertThat(route.path(1).path("why").asText()).contains("of other clients");

            metrics.set("");
            Conditions.await(
                    () -> node(penstock, "a-busy").path("signals").path("stale").asBoolean()
                            && node(penstock, "a-busy").path("load_seconds").asDouble() == 0,
                    PATIENCE,
                    "the figures are not stale");
            assertThat(node(penstock, "a-busy").path("state").asText()).isEqualTo("up");
            Conditions.await(
                    () -> !candidates(penstock).toString().contains("of other clients"),
                    A_SECOND,
                    "placement does not forget the figures");
            assertThat(candidates(penstock)).hasSize(2);
        }
    }
}
