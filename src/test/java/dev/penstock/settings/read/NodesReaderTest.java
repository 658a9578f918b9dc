package dev.penstock.settings.read;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.node.NullNode;
import dev.penstock.settings.Backend;
import dev.penstock.settings.NodeSettings;
import dev.penstock.settings.Settings;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Reads the nodes of the file and of the environment. */
class NodesReaderTest {
    @Test
    void a_node_has_its_backends_defaults() {
        Settings settings = TestSettings.ofFile(Map.of(
                "penstock.nodes.gpu-a.backend", "vllm",
                "penstock.nodes.gpu-a.url", "http://vllm-a:8000/v1/"));

        NodeSettings node = settings.nodes().getFirst();
        assertThat(node.name()).isEqualTo("gpu-a");
        assertThat(node.url()).hasToString("http://vllm-a:8000");
        assertThat(node.pool()).isEqualTo("gpu");
    }

    @Test
    void what_penstock_starts_has_a_model_and_no_address() {
        NodeSettings cli = TestSettings.ofFile(Map.of(
                        "penstock.nodes.small.backend", "llama-cli",
                        "penstock.nodes.small.model-path", "/models",
                        "penstock.nodes.small.ctx-size", "2048",
                        "penstock.nodes.small.arguments", "-t,2"))
                .nodes()
                .getFirst();
        NodeSettings server = TestSettings.ofFile(Map.of(
                        "penstock.nodes.own.backend", "llama-server",
                        "penstock.nodes.own.command", "/opt/llama-server",
                        "penstock.nodes.own.model-path", "/models/a.gguf",
                        "penstock.nodes.own.gpu-layers", "all"))
                .nodes()
                .getFirst();

        assertThat(cli.program())
                .isEqualTo(new NodeSettings.Program(
                        "llama-cli",
                        Path.of("/models"),
                        OptionalInt.of(2048),
                        OptionalInt.empty(),
                        OptionalInt.empty(),
                        Optional.empty(),
                        Optional.empty(),
                        List.of("-t", "2")));
        assertThat(cli.title()).isEqualTo("node 'small': llama-cli with /models");
        assertThat(cli.backend().defaultMaxInFlight()).isEqualTo(1);
        assertThat(server.program()).isNotNull();
        assertThat(server.title()).isEqualTo("node 'own': llama-server with /models/a.gguf");
    }

    @ParameterizedTest
    @EnumSource(Backend.class)
    void only_what_can_fetch_a_model_fetches_the_missing(Backend backend) {
        Map<String, String> keys = Map.of(
                "penstock.nodes.a.backend", backend.wireName(),
                "penstock.nodes.a.url", "http://a",
                "penstock.nodes.a.pull", "missing");
        if (backend == Backend.OLLAMA || backend == Backend.LLAMA_SERVER) {
            assertThat(TestSettings.ofFile(keys).nodes().getFirst().fetchesMissing())
                    .isTrue();
        } else {
            assertThatThrownBy(() -> TestSettings.ofFile(keys)).hasMessageContaining("penstock.nodes.a.pull: ");
        }
    }

    @Test
    void a_program_that_cannot_start_is_reported_by_its_keys() {
        assertThatThrownBy(() -> TestSettings.ofFile(Map.of(
                        "penstock.nodes.a.backend", "llama-cli",
                        "penstock.nodes.a.url", "http://a",
                        "penstock.nodes.b.backend", "vllm",
                        "penstock.nodes.b.url", "http://b",
                        "penstock.nodes.b.command", "vllm",
                        "penstock.nodes.c.backend", "llama-server",
                        "penstock.nodes.c.model-path", "/m.gguf",
                        "penstock.nodes.c.gpu-layers", "many",
                        "penstock.nodes.c.pull", "missing")))
                .hasMessageContaining("5 mistakes")
                .hasMessageContaining("penstock.nodes.c.pull: what Penstock starts has the files of model-path")
                .hasMessageContaining("penstock.nodes.a.url: llama-cli is started for each request")
                .hasMessageContaining("penstock.nodes.a.model-path: is missing")
                .hasMessageContaining("penstock.nodes.b.command: is of llama-server and llama-cli only")
                .hasMessageContaining("penstock.nodes.c.gpu-layers: 'many' is no number, auto or all");
        assertThatThrownBy(() -> TestSettings.ofFile(Map.of("penstock.nodes.d.backend", "ollama")))
                .hasMessageContaining("penstock.nodes.d.url: is missing");
    }

    @ParameterizedTest
    @CsvSource({
        "OLLAMA_HOST, 0.0.0.0:11434, http://localhost:11434, 1",
        "OLLAMA_HOST, :11434, http://127.0.0.1:11434/, 1",
        "OLLAMA_HOST, [::1], http://LOCALHOST:11434, 1",
        "VLLM_URL, http://gpu/v1, http://gpu:80, 1",
        "LMSTUDIO_URL, http://localhost:1234, http://127.0.0.1:1234/v1/, 1",
        "LLAMA_SERVER_URL, http://127.0.0.1:8080, http://0.0.0.0:8080, 1",
        "OPENAI_BASE_URL, https://h.example, https://H.example:443/v1, 1",
        "VLLM_URL, http://gpu:8000, http://gpu:8001, 2",
        "VLLM_URL, http://gpu:8000/a, http://gpu:8000/b, 2"
    })
    void an_address_of_the_environment_beside_a_node_at_that_address_is_one_node(
            String variable, String address, String url, int nodes) {
        Settings settings = SettingsReader.read(
                TestSettings.config(
                        Map.of("penstock.nodes.mine.backend", "openai-compatible", "penstock.nodes.mine.url", url)),
                Map.of(variable, address));

        assertThat(settings.nodes()).hasSize(nodes);
        assertThat(settings.nodes().getFirst().name()).isEqualTo("mine");
    }

    @Test
    void nodes_from_the_environment() {
        Settings settings = SettingsReader.read(
                TestSettings.config(Map.of()),
                Map.of("VLLM_URL", "http://gpu:8000/v1", "VLLM_MODEL", "m", "OLLAMA_HOST", "0.0.0.0:11434"));

        assertThat(settings.nodes()).extracting(NodeSettings::name).containsExactly("vllm", "ollama");
        assertThat(settings.nodes().getFirst().model()).isEqualTo("m");
        assertThat(settings.nodes().get(1).url()).hasToString("http://127.0.0.1:11434");
    }

    @ParameterizedTest
    @CsvSource({
        "0.0.0.0:11434, http://127.0.0.1:11434",
        "0.0.0.0, http://127.0.0.1:11434",
        ":8000, http://127.0.0.1:8000",
        "ollama, http://ollama:11434",
        "http://ollama, http://ollama:80",
        "https://ollama.example, https://ollama.example:443",
        "http://ollama:1234/, http://ollama:1234/",
        "https://host/ollama, https://host:443/ollama",
        "[::1]:11435, http://[::1]:11435",
        "[::], http://[::1]:11434"
    })
    void ollamas_own_forms_of_its_address(String given, String address) {
        assertThat(NodesReader.ollamaAddress(given)).isEqualTo(address);
    }

    @Test
    void a_key_is_never_shown() {
        Settings settings = TestSettings.ofFile(Map.of(
                "penstock.nodes.a.backend", "vllm",
                "penstock.nodes.a.url", "http://a",
                "penstock.nodes.a.api-key", "sk-secret"));

        assertThat(settings.nodes().getFirst().apiKey()).isEqualTo("sk-secret");
        assertThat(settings.toString()).doesNotContain("sk-secret");
    }

    @Test
    void nodes_of_the_clouds_from_the_environment() {
        Settings settings = SettingsReader.read(
                TestSettings.config(Map.of()),
                Map.of(
                        "OPENAI_API_KEY", "sk-1",
                        "ANTHROPIC_API_KEY", "sk-2",
                        "AZURE_OPENAI_ENDPOINT", "https://mine.openai.azure.com/openai/v1/",
                        "AZURE_OPENAI_API_KEY", "sk-3",
                        "AZURE_OPENAI_DEPLOYMENT", "gpt",
                        "AZURE_OPENAI_API_VERSION", "2025-01-01",
                        "LMSTUDIO_URL", "http://desk:1234/v1"));

        assertThat(settings.nodes())
                .extracting(node -> node.name() + " " + node.url() + " " + node.pool() + " " + node.apiKey())
                .containsExactly(
                        "lm-studio http://desk:1234 cpu null",
                        "openai https://api.openai.com cloud sk-1",
                        "azure-openai https://mine.openai.azure.com cloud sk-3",
                        "anthropic https://api.anthropic.com cloud sk-2");
        assertThat(settings.nodes().get(2).model()).isEqualTo("gpt");
        assertThat(settings.nodes().get(2).requests().apiVersion()).isEqualTo("2025-01-01");
    }

    @ParameterizedTest
    @CsvSource({
        "openai, https://api.openai.com/v1, true",
        "azure-openai, https://mine.openai.azure.com, true",
        "anthropic, https://api.anthropic.com, true",
        "openai-compatible, https://openrouter.ai/api/v1, true",
        "openai, http://localhost:8000, false",
        "anthropic, http://llama:8081, false",
        "openai, https://not-api.openai.com.example, false"
    })
    void a_host_that_requires_a_key_needs_one(String backend, String url, boolean needed) {
        Map<String, String> keys = Map.of("penstock.nodes.a.backend", backend, "penstock.nodes.a.url", url);
        if (needed) {
            assertThatThrownBy(() -> TestSettings.ofFile(keys)).hasMessageContaining("penstock.nodes.a.api-key");
        } else {
            assertThat(TestSettings.ofFile(keys).nodes()).hasSize(1);
        }
    }

    @Test
    void a_node_has_requests_of_its_own() {
        Settings settings = TestSettings.ofFile(Map.of(
                "penstock.nodes.a.backend", "vllm",
                "penstock.nodes.a.url", "http://a",
                "penstock.nodes.a.parameters.temperature", "null",
                "penstock.nodes.a.extra-body.chat_template_kwargs", "{\"enable_thinking\":false}",
                "penstock.nodes.a.extra-body.service", "fast lane",
                "penstock.nodes.a.timeouts.idle", "3s",
                "penstock.parameters.top_k", "40",
                "penstock.jobs.allowed-fields", "cache_salt,id_slot",
                "penstock.images.allowed-hosts", "images.example"));

        NodeSettings.Requests requests = settings.nodes().getFirst().requests();
        assertThat(requests.parameters()).containsEntry("temperature", NullNode.getInstance());
        assertThat(requests.extraBody())
                .containsEntry("chat_template_kwargs", Map.of("enable_thinking", false))
                .containsEntry("service", "fast lane");
        assertThat(requests.timeouts().over(settings.timeouts()).idle()).hasSeconds(3);
        assertThat(requests.timeouts().over(settings.timeouts()).connect())
                .isEqualTo(settings.timeouts().connect());
        assertThat(settings.parameters()).containsEntry("top_k", 40);
        assertThat(settings.permissions().fields()).containsExactlyInAnyOrder("cache_salt", "id_slot");
    }
}
