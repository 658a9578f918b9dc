package dev.penstock.api.ollama;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.job.Task;
import dev.penstock.node.protocol.WireProtocol;
import dev.penstock.testkit.upstream.Recording;
import dev.penstock.wire.Json;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ModelCardsTest {
    private static final Instant NOW = Instant.parse("2026-12-01T08:00:00Z");
    private static final WireProtocol.Model LLAMA =
            new WireProtocol.Model("meta-llama/Llama-3.2-3B-Instruct", true, 8192L);

    @Test
    void one_ollama_looks_like_itself() {
        JsonNode recorded = recorded("tags");
        ModelCards.Report node = ollama(recorded);

        JsonNode tags = ModelCards.tags(List.of(node), List.of());

        assertThat(tags.path("models")).containsExactlyInAnyOrderElementsOf(recorded.path("models"));
    }

    @Test
    void the_models_in_memory_are_those_of_ollama() {
        JsonNode recorded = recorded("ps-loaded");
        ModelCards.Report node = ollama(recorded);

        JsonNode running = ModelCards.running(List.of(node), NOW);

        assertThat(running.path("models")).containsExactlyInAnyOrderElementsOf(recorded.path("models"));
    }

    @Test
    void a_model_of_several_nodes_is_there_once_with_what_an_ollama_says() {
        JsonNode recorded = recorded("tags");
        String name = recorded.at("/models/0/name").asText();
        ModelCards.Report ollama = ollama(recorded);
        ModelCards.Report other = other(new WireProtocol.Model(name, true, null));

        for (List<ModelCards.Report> nodes : List.of(List.of(other, ollama, ollama), List.of(ollama, other))) {
            JsonNode tags = ModelCards.tags(nodes, List.of());

            assertThat(tags.path("models")).hasSize(recorded.path("models").size());
            assertThat(tags.path("models")).contains(recorded.at("/models/0"));
        }
    }

    @Test
    void a_model_of_another_server_has_zeros_for_what_is_unknown() {
        JsonNode tags = ModelCards.tags(List.of(other(LLAMA)), List.of());

        assertThat(tags).hasToString("""
                {"models":[{"name":"meta-llama/Llama-3.2-3B-Instruct:latest","model":"meta-llama/Llama-3.2-3B-Instruct:latest",\
                "modified_at":"0001-01-01T00:00:00Z","size":0,"digest":"%s","details":{"parent_model":"","format":"","family":"",\
                "families":[],"parameter_size":"","quantization_level":"","context_length":8192},"capabilities":["completion"]}]}\
                """.formatted("0".repeat(64)));
    }

    @Test
    void a_loaded_model_of_another_server_stays_for_ever() {
        WireProtocol.Model away = new WireProtocol.Model("away", false, null);

        JsonNode running = ModelCards.running(List.of(other(LLAMA, away)), NOW);

        assertThat(running.path("models")).hasSize(1);
        JsonNode card = running.at("/models/0");
        assertThat(card.path("name").asText()).isEqualTo("meta-llama/Llama-3.2-3B-Instruct:latest");
        assertThat(Instant.parse(card.path("expires_at").asText())).isAfter(NOW.plusSeconds(9_000_000_000L));
        assertThat(card.path("context_length").asLong()).isEqualTo(8192);
        assertThat(card.path("size_vram").asLong(-1)).isZero();
    }

    @Test
    void a_model_of_an_ollama_that_says_nothing_of_it_is_not_in_memory() {
        ModelCards.Report silent =
                new ModelCards.Report(List.of(new WireProtocol.Model("tiny:latest", true, null)), true, List.of());

        assertThat(ModelCards.running(List.of(silent), NOW)).hasToString("{\"models\":[]}");
        assertThat(ModelCards.tags(List.of(silent), List.of())
                        .at("/models/0/name")
                        .asText())
                .isEqualTo("tiny:latest");
    }

    @Test
    void a_pool_without_nodes_has_the_empty_list_of_ollama() {
        assertThat(ModelCards.tags(List.of(), List.of())).isEqualTo(recorded("tags-empty"));
        assertThat(ModelCards.running(List.of(), NOW)).isEqualTo(recorded("ps-empty"));
    }

    @Test
    void a_profile_is_a_model_and_hides_a_model_of_its_name() {
        JsonNode tags = ModelCards.tags(
                List.of(other(new WireProtocol.Model("fast:latest", true, 100L), LLAMA)), Set.of("fast"));

        assertThat(tags.path("models")).hasSize(2);
        assertThat(tags.at("/models/0/name").asText()).isEqualTo("fast:latest");
        assertThat(tags.at("/models/0/details").has("context_length")).isFalse();
    }

    @ParameterizedTest
    @CsvSource({"fast, fast", "fast:latest, fast", "fast:1b, ", "slow, "})
    void a_client_may_name_a_profile_with_the_tag_latest(String name, String profile) {
        assertThat(ModelCards.profile(name, Set.of("fast")).orElse(null)).isEqualTo(profile);
    }

    @ParameterizedTest
    @CsvSource({
        "tiny, tiny:latest",
        "tiny:3b, tiny:3b",
        "a/b, a/b:latest",
        "host:5000/a, host:5000/a:latest",
        "host:5000/a:1b, host:5000/a:1b"
    })
    void every_listed_name_has_a_tag(String name, String listed) {
        assertThat(ModelCards.tagged(name)).isEqualTo(listed);
    }

    @ParameterizedTest
    @CsvSource({
        "CHAT COMPLETION, completion",
        "CHAT COMPLETION DESCRIBE TAG, completion vision",
        "EMBEDDINGS, embedding"
    })
    void the_tasks_of_a_model_are_its_capabilities(String tasks, String capabilities) {
        Set<Task> known = Set.copyOf(
                Arrays.stream(tasks.split(" ", -1)).map(Task::valueOf).toList());

        JsonNode shown = ModelCards.shown(new WireProtocol.Model("m", true, 4096L, known));

        List<String> listed = new ArrayList<>();
        shown.path("capabilities").forEach(one -> listed.add(one.asText()));
        assertThat(String.join(" ", listed)).isEqualTo(capabilities);
        assertThat(shown.path("model_info")).hasToString("{\"general.architecture\":\"\",\".context_length\":4096}");
        assertThat(shown.at("/details/context_length").asLong()).isEqualTo(4096);
    }

    private static ModelCards.Report ollama(JsonNode document) {
        List<ObjectNode> entries = new ArrayList<>();
        List<WireProtocol.Model> models = new ArrayList<>();
        for (JsonNode entry : document.path("models")) {
            entries.add((ObjectNode) entry);
            models.add(new WireProtocol.Model(entry.path("name").asText(), false, null));
        }
        assertThat(entries).isNotEmpty();
        return new ModelCards.Report(models, true, entries);
    }

    private static ModelCards.Report other(WireProtocol.Model... models) {
        return new ModelCards.Report(List.of(models), false, List.of());
    }

    private static JsonNode recorded(String name) {
        return Objects.requireNonNull(
                Json.parseLenient(Recording.of("ollama/" + name).body()));
    }
}
