package dev.penstock.node;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.node.protocol.WireProtocol;
import dev.penstock.settings.NodeSettings;
import dev.penstock.settings.read.TestSettings;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class ServedModelsTest {
    @Test
    void a_node_without_a_configured_model_serves_all() {
        assertThat(served(Map.of(), "a", "b")).containsExactly("a", "b");
    }

    @Test
    void a_node_with_a_configured_model_serves_that_one_only() {
        assertThat(served(Map.of("model", "b"), "a", "b")).containsExactly("b");
        assertThat(served(Map.of("model", "b"), "a")).isEmpty();
    }

    @Test
    void a_server_that_lists_nothing_serves_the_configured_model() {
        assertThat(served(Map.of("model", "b"))).containsExactly("b");
    }

    @Test
    void a_server_that_fetches_models_serves_the_configured_one_only_when_it_has_it() {
        Map<String, String> fetches = Map.of("backend", "ollama", "model", "tiny", "pull", "missing");

        assertThat(served(fetches)).isEmpty();
        assertThat(served(fetches, "other:latest", "tiny:latest")).containsExactly("tiny:latest");
        assertThat(served(fetches, "tiny:latest", "tiny"))
                .as("the same name first")
                .containsExactly("tiny");
    }

    private static List<String> served(Map<String, String> keys, String... listed) {
        Map<String, String> all =
                new HashMap<>(Map.of("penstock.nodes.a.backend", "vllm", "penstock.nodes.a.url", "http://127.0.0.1:1"));
        keys.forEach((key, value) -> all.put("penstock.nodes.a." + key, value));
        NodeSettings settings = TestSettings.ofFile(all).nodes().getFirst();
        List<WireProtocol.Model> models = List.of(listed).stream()
                .map(id -> new WireProtocol.Model(id, false, null))
                .toList();
        return ServedModels.of(settings, models).stream()
                .map(WireProtocol.Model::id)
                .toList();
    }
}
