package dev.penstock.settings;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SettingsReaderTest {
    @Test
    void a_node_has_its_backends_defaults() {
        Settings settings = read(Map.of(
                "penstock.nodes.gpu-a.backend", "vllm",
                "penstock.nodes.gpu-a.url", "http://vllm-a:8000/v1/"));

        NodeSettings node = settings.nodes().getFirst();
        assertThat(node.name()).isEqualTo("gpu-a");
        assertThat(node.url()).hasToString("http://vllm-a:8000");
        assertThat(node.pool()).isEqualTo("gpu");
    }

    @Test
    void every_mistake_is_listed_by_its_key() {
        assertThatThrownBy(() -> read(Map.of(
                        "penstock.nodes.a.backend", "vlm",
                        "penstock.nodes.a.url", "vllm-a:8000",
                        "penstock.nodes.b.backend", "vllm",
                        "penstock.nodes.b.url", "http://b",
                        "penstock.nodes.b.max-in-flight", "0",
                        "penstock.intake.slots", "0",
                        "penstock.default-profile", "fast",
                        "penstock.auth.mode", "keys",
                        "penstock.jobs.timeout", "2h")))
                .isInstanceOf(SettingsReader.InvalidSettings.class)
                .hasMessageContaining("7 mistakes")
                .hasMessageContaining("penstock.nodes.a.backend: 'vlm' is none of vllm, ollama")
                .hasMessageContaining("penstock.nodes.a.url")
                .hasMessageContaining("penstock.nodes.b.max-in-flight")
                .hasMessageContaining("penstock.intake.slots")
                .hasMessageContaining("penstock.default-profile: there is no profile 'fast'")
                .hasMessageContaining("penstock.auth.mode")
                .hasMessageContaining("penstock.jobs.timeout: is above penstock.jobs.max-timeout");
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
        "http://ollama:1234/, http://ollama:1234"
    })
    void ollamas_own_forms_of_its_address(String given, String address) {
        assertThat(SettingsReader.ollamaAddress(given)).isEqualTo(address);
    }

    @Test
    void the_batch_fills_the_slots_from_any_one_partition() {
        Settings settings = read(Map.of());

        assertThat(settings.intake().batch(4) * settings.intake().consumers())
                .isGreaterThanOrEqualTo(settings.intake().slots() * 4);
    }

    @Test
    void a_key_is_never_shown() {
        Settings settings = read(Map.of(
                "penstock.nodes.a.backend", "vllm",
                "penstock.nodes.a.url", "http://a",
                "penstock.nodes.a.api-key", "sk-secret"));

        assertThat(settings.nodes().getFirst().apiKey()).isEqualTo("sk-secret");
        assertThat(settings.toString()).doesNotContain("sk-secret");
    }

    private static Settings read(Map<String, String> keys) {
        return SettingsReader.read(TestSettings.config(keys), Map.of());
    }
}
