package dev.penstock.settings;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.wire.Json;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class AddedNodeTest {
    @Test
    void it_has_the_keys_and_the_defaults_of_a_node_of_the_file() {
        AddedNode read = read("""
                {"backend": "ollama", "url": "http://cpu:11434/v1/", "max-in-flight": 3, "pull": "missing",
                 "headers": {"X-Team.Name": "a, b"}}""");

        assertThat(read)
                .isEqualTo(new AddedNode.Fit(
                        new NodeSettings(
                                "cpu.b",
                                Backend.OLLAMA,
                                URI.create("http://cpu:11434"),
                                "cpu",
                                OptionalInt.of(3),
                                null,
                                null,
                                Map.of("X-Team.Name", "a, b"),
                                NodeSettings.Requests.PLAIN,
                                true),
                        List.of()));
    }

    @Test
    void every_mistake_is_named_by_its_key() {
        assertThat(mistakes("""
                {"backend": "vlm", "url": "nowhere", "max-in-flight": 0, "pull": "always"}"""))
                .containsExactlyInAnyOrder(
                        "penstock.nodes.cpu.b.backend: 'vlm' is none of " + Backend.all(),
                        "penstock.nodes.cpu.b.url: 'nowhere' is no http:// or https:// address without user, password and query",
                        "penstock.nodes.cpu.b.max-in-flight: must be at least 1",
                        "penstock.nodes.cpu.b.pull: 'always' is none of missing, never");
        assertThat(mistakes("{\"max_in_flight\": 1}"))
                .hasSize(3)
                .anyMatch(mistake -> mistake.endsWith("backend: is missing"))
                .anyMatch(mistake -> mistake.endsWith("url: is missing"))
                .anyMatch(mistake -> mistake.endsWith("max_in_flight: there is no such key"));
        assertThat(mistakes("{\"backend\": \"vllm\", \"url\": \"http://a\", \"pull\": \"missing\"}"))
                .singleElement()
                .asString()
                .startsWith("penstock.nodes.cpu.b.pull: vllm fetches no models");
        assertThat(mistakes("{\"backend\": \"vllm\", \"url\": \"http://a\", \"max-in-flight\": \"many\"}"))
                .singleElement()
                .asString()
                .contains("max-in-flight", "many");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            "api-key": "sk-secret"                        | api-key: is given by reference only
            "api-key": "env:"                             | api-key: is given by reference only
            "api-key": "file:/a\\u0000b"                   | api-key: is given by reference only
            "headers": {"Authorization": "Bearer secret"} | headers.Authorization: a secret is given by reference
            "headers": {"X-API-Key": "secret"}            | headers.X-API-Key: a secret is given by reference
            "backend": "llama-cli"                        | backend: a node that starts a process
            "command": "llama-server"                     | command: a node that starts a process
            "model-path": "/models/a.gguf"                | model-path: a node that starts a process
            """)
    void secrets_and_processes_come_from_the_file_only(String field, String mistake) {
        assertThat(mistakes("{\"url\": \"http://a\", %s%s}"
                        .formatted(field.contains("backend") ? "" : "\"backend\": \"vllm\", ", field)))
                .anySatisfy(told -> assertThat(told).contains(mistake).doesNotContain("secret\""))
                .noneSatisfy(told -> assertThat(told).contains("sk-secret"));
    }

    @Test
    void nothing_else_is_said_of_a_node_that_would_start_a_process() {
        assertThat(mistakes("{\"backend\": \"llama-cli\", \"model-path\": \"/models\", \"arguments\": [\"--x\"]}"))
                .containsExactlyInAnyOrder(
                        "penstock.nodes.cpu.b.backend: a node that starts a process comes from the configuration only",
                        "penstock.nodes.cpu.b.model-path: a node that starts a process comes from the configuration only",
                        "penstock.nodes.cpu.b.arguments: a node that starts a process comes from the configuration only");
    }

    @Test
    void a_key_is_looked_up_where_the_document_says(@TempDir Path folder) throws IOException {
        Path file = Files.writeString(folder.resolve("key"), "sk-file\n");

        assertThat(node("env:THE_KEY").apiKey()).isEqualTo("sk-env");
        assertThat(node("file:" + file).apiKey()).isEqualTo("sk-file");
        assertThat(read("{\"backend\": \"vllm\", \"url\": \"http://a\", \"api-key\": \"env:NOT_HERE\"}"))
                .isInstanceOfSatisfying(AddedNode.Fit.class, fit -> {
                    assertThat(fit.node().apiKey()).isNull();
                    assertThat(fit.lacking())
                            .containsExactly("penstock.nodes.cpu.b.api-key: there is no env:NOT_HERE here");
                });
    }

    @Test
    void nothing_else_is_looked_up() {
        AddedNode read = read("{\"backend\": \"vllm\", \"url\": \"http://a\", \"model\": \"${THE_KEY}\"}");

        assertThat(read)
                .isInstanceOfSatisfying(
                        AddedNode.Fit.class,
                        fit -> assertThat(fit.node().model()).isEqualTo("${THE_KEY}"));
    }

    private static NodeSettings node(String reference) {
        AddedNode read =
                read("{\"backend\": \"vllm\", \"url\": \"http://a\", \"api-key\": \"%s\"}".formatted(reference));
        assertThat(read).isInstanceOf(AddedNode.Fit.class);
        return ((AddedNode.Fit) read).node();
    }

    private static List<String> mistakes(String document) {
        AddedNode read = read(document);
        assertThat(read).isInstanceOf(AddedNode.Unfit.class);
        return ((AddedNode.Unfit) read).mistakes();
    }

    private static AddedNode read(String document) {
        JsonNode json = Objects.requireNonNull(Json.parseLenient(document), document);
        return AddedNode.read("cpu.b", json, Map.of("THE_KEY", "sk-env"));
    }
}
