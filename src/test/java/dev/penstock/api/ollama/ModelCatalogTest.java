package dev.penstock.api.ollama;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.node.RealNodes;
import dev.penstock.settings.Settings;
import dev.penstock.settings.read.TestSettings;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.FakeUpstream;
import dev.penstock.testkit.upstream.Flavour;
import dev.penstock.testkit.upstream.Recording;
import dev.penstock.testkit.upstream.UpstreamRequest;
import dev.penstock.wire.Json;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.vertx.core.Vertx;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Tests the lists over an Ollama, a vLLM and a node that is down. */
@Timeout(120)
class ModelCatalogTest {
    private static final Vertx VERTX = Vertx.vertx();
    private static final FakeUpstream OLLAMA =
            FakeUpstream.start().models("tiny:latest").probes(ModelCatalogTest::shown);
    private static final FakeUpstream VLLM =
            FakeUpstream.start().flavour(Flavour.VLLM).models("meta/llama");
    private static final Settings SETTINGS = TestSettings.ofFile(Map.of(
            "penstock.nodes.cpu.backend", "ollama",
            "penstock.nodes.cpu.url", OLLAMA.url(),
            "penstock.nodes.down.backend", "ollama",
            "penstock.nodes.down.url", "http://127.0.0.1:1",
            "penstock.nodes.gpu.backend", "vllm",
            "penstock.nodes.gpu.url", VLLM.url(),
            "penstock.profiles.fast.ollama", "tiny",
            "penstock.profiles.fast.vllm", "meta/llama",
            "penstock.profiles.big.vllm", "meta/llama"));
    private static final RealNodes NODES = new RealNodes(SETTINGS, VERTX, new SimpleMeterRegistry());

    private final ModelCatalog catalog = new ModelCatalog(NODES, SETTINGS, Clock.systemUTC());

    private static Optional<Answer> shown(UpstreamRequest request) {
        return request.path().equals("/api/show") && request.model().equals("tiny:latest")
                ? Optional.of(Answer.document(200, Recording.of("ollama/show").body()))
                : Optional.empty();
    }

    @BeforeAll
    static void probe() throws InterruptedException {
        for (String node : List.of("cpu", "gpu", "down")) {
            NODES.find(node).orElseThrow().awaitProbed(Duration.ofSeconds(60));
        }
    }

    @AfterAll
    static void close() {
        NODES.close();
        OLLAMA.close();
        VLLM.close();
        VERTX.close();
    }

    @Test
    void the_pool_is_one_list_of_models() throws InterruptedException {
        JsonNode tags = catalog.tags();

        assertThat(tags.path("models"))
                .extracting(model -> model.path("name").asText())
                .containsExactly("big:latest", "fast:latest", "meta/llama:latest", "tiny:latest");
        JsonNode own = tags.at("/models/3");
        assertThat(own.path("size").asLong()).isPositive();
        assertThat(own.at("/details/format").asText()).isEqualTo("gguf");
    }

    @Test
    void the_models_in_memory_are_those_of_all_nodes() throws InterruptedException {
        JsonNode running = catalog.running();

        assertThat(running.path("models"))
                .extracting(model -> model.path("name").asText())
                .containsExactly("meta/llama:latest", "tiny:latest");
        assertThat(running.at("/models/1/size").asLong()).isPositive();
    }

    @Test
    void a_model_of_an_ollama_is_shown_as_by_ollama_without_the_paths_of_its_files() throws InterruptedException {
        JsonNode recorded = Objects.requireNonNull(
                Json.parseLenient(Recording.of("ollama/show").body()));

        JsonNode shown = catalog.shown("tiny", false).orElseThrow();

        assertThat(recorded.path("modelfile").asText()).contains("FROM /models");
        assertThat(shown.has("modelfile")).isFalse();
        assertThat(shown.path("model_info")).isNotEmpty().isEqualTo(recorded.path("model_info"));
        assertThat(shown.path("details")).isEqualTo(recorded.path("details"));
        assertThat(shown.path("capabilities")).isEqualTo(recorded.path("capabilities"));
    }

    @Test
    void a_profile_is_shown_as_its_model() throws InterruptedException {
        assertThat(catalog.shown("fast:latest", false)
                        .orElseThrow()
                        .at("/details/format")
                        .asText())
                .isEqualTo("gguf");
        assertThat(catalog.shown("big", false)
                        .orElseThrow()
                        .at("/details/format")
                        .asText())
                .isEmpty();
    }

    @Test
    void names_of_jobs_are_those_of_clients_except_for_the_tag_of_a_profile() throws InterruptedException {
        assertThat(catalog.nameInJob("fast:latest")).isEqualTo("fast");
        assertThat(catalog.nameInJob("meta/llama:latest")).isEqualTo("meta/llama:latest");
        assertThat(catalog.has("fast:latest")).isTrue();
        assertThat(catalog.has("meta/llama:latest")).isTrue();
        assertThat(catalog.has("tiny")).isTrue();
        assertThat(catalog.has("nope")).isFalse();
        assertThat(catalog.shown("nope", false)).isEmpty();
    }
}
