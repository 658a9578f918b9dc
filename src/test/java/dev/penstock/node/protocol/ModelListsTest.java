package dev.penstock.node.protocol;

import static dev.penstock.node.protocol.RequestRig.json;
import static dev.penstock.node.protocol.RequestRig.protocol;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.Task;
import dev.penstock.settings.Backend;
import dev.penstock.testkit.upstream.Recording;
import java.util.Collections;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/** What model servers list about their models. */
class ModelListsTest {
    @Test
    void a_router_lists_which_of_its_models_are_loaded() {
        JsonNode listed = json(Recording.of("llama-server/router-models").body());

        assertThat(protocol(Backend.LLAMA_SERVER).models(listed, List.of()))
                .extracting(model -> model.id() + " " + model.loaded())
                .containsExactly("tiny-a false", "tiny-b true", "tiny-think true");
    }

    @Test
    void what_ollama_says_of_a_model_is_what_it_is_for() {
        JsonNode tags = json(Recording.of("ollama/tags")
                .body()
                .replaceFirst(
                        "(\"name\":\"tiny-embed:latest\".*?\"capabilities\":)\\[\"completion\"]", "$1[\"embedding\"]"));
        JsonNode loaded = json(Recording.of("ollama/ps-loaded").body());

        Map<String, WireProtocol.Model> models = byId(protocol(Backend.OLLAMA).models(tags, List.of(loaded)));

        Set<Task> text = Set.of(Task.CHAT, Task.COMPLETION);
        assertThat(models.get("tiny:latest")).isEqualTo(new WireProtocol.Model("tiny:latest", true, 4096L, text));
        assertThat(models.get("tiny-tools-json:latest"))
                .isEqualTo(new WireProtocol.Model("tiny-tools-json:latest", false, 4096L, text));
        assertThat(models.get("tiny-embed:latest"))
                .isEqualTo(new WireProtocol.Model("tiny-embed:latest", false, 4096L, Set.of(Task.EMBEDDINGS)));
        assertThat(models.get("bad-vision:latest"))
                .isEqualTo(new WireProtocol.Model(
                        "bad-vision:latest",
                        false,
                        4096L,
                        Set.of(Task.CHAT, Task.COMPLETION, Task.DESCRIBE, Task.TAG)));
    }

    /** According to the documentation of 0.3.6 and newer; loaded_context_length came later. */
    @Test
    void what_lm_studio_says_of_its_models_is_read() {
        JsonNode listed = json("""
                {"object":"list","data":[
                  {"id":"qwen2-vl-7b-instruct","object":"model","owned_by":"organization_owner"},
                  {"id":"meta-llama-3.1-8b-instruct","object":"model","owned_by":"organization_owner"},
                  {"id":"text-embedding-nomic-embed-text-v1.5","object":"model","owned_by":"organization_owner"},
                  {"id":"new","object":"model","owned_by":"organization_owner"}]}""");
        JsonNode own = json("""
                {"object":"list","data":[
                  {"id":"qwen2-vl-7b-instruct","object":"model","type":"vlm","publisher":"mlx-community","arch":"qwen2_vl",
                   "compatibility_type":"mlx","quantization":"4bit","state":"not-loaded","max_context_length":32768},
                  {"id":"meta-llama-3.1-8b-instruct","object":"model","type":"llm","publisher":"lmstudio-community","arch":"llama",
                   "compatibility_type":"gguf","quantization":"Q4_K_M","state":"loaded","max_context_length":131072,"loaded_context_length":4096},
                  {"id":"text-embedding-nomic-embed-text-v1.5","object":"model","type":"embeddings","publisher":"nomic-ai","arch":"nomic-bert",
                   "compatibility_type":"gguf","quantization":"Q4_0","state":"not-loaded","max_context_length":2048}]}""");

        assertThat(protocol(Backend.LM_STUDIO).models(listed, List.of(own)))
                .containsExactly(
                        new WireProtocol.Model(
                                "qwen2-vl-7b-instruct",
                                false,
                                32768L,
                                Set.of(Task.CHAT, Task.COMPLETION, Task.DESCRIBE, Task.TAG)),
                        new WireProtocol.Model(
                                "meta-llama-3.1-8b-instruct", true, 4096L, Set.of(Task.CHAT, Task.COMPLETION)),
                        new WireProtocol.Model(
                                "text-embedding-nomic-embed-text-v1.5", false, 2048L, Set.of(Task.EMBEDDINGS)),
                        new WireProtocol.Model(
                                "new", true, null, EnumSet.complementOf(EnumSet.of(Task.RERANK, Task.SCORE))));
        assertThat(protocol(Backend.LM_STUDIO).models(listed, Collections.singletonList(null)))
                .as("an older one has no listing of its own")
                .hasSize(4)
                .allMatch(WireProtocol.Model::loaded);
    }

    private static Map<String, WireProtocol.Model> byId(List<WireProtocol.Model> models) {
        return models.stream().collect(Collectors.toMap(WireProtocol.Model::id, model -> model));
    }
}
