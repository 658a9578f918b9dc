package dev.penstock.deploy;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** {@code k8s/} and the chart's README match the chart. */
class PlainManifestsTest {
    private static final String AGAIN = "make manifests writes it anew";

    @Test
    void the_base_is_what_the_chart_renders() throws IOException {
        assertThat(Files.readString(PlainManifests.BASE)).as(AGAIN).isEqualTo(PlainManifests.base());
    }

    @Test
    void the_readme_has_the_table_of_every_value() throws IOException {
        String readme = Files.readString(PlainManifests.README);

        assertThat(readme).as(AGAIN).isEqualTo(ValuesTable.into(readme));
        assertThat(readme).contains("| `penstock.nodes.*.backend` |").contains("| `autoscaling.keda.cooldownPeriod` |");
        assertThat(readme.lines().filter(line -> line.startsWith("| `")))
                .as("values without a word on them")
                .noneMatch(line -> line.endsWith("|  |"));
    }

    @Test
    void every_document_is_valid_and_helm_has_left_no_trace() throws IOException {
        ManifestSchemas schemas = new ManifestSchemas();
        List<Manifest> manifests = new ArrayList<>();
        for (Path file : resources(PlainManifests.FOLDER.resolve("overlays").resolve("demo"))) {
            manifests.addAll(Manifest.all(Files.readString(file)));
        }

        assertThat(manifests)
                .extracting(Manifest::toString)
                .contains("Kafka kafka", "Deployment ollama", "Deployment penstock");
        assertThat(manifests).allSatisfy(manifest -> {
            assertThat(schemas.mistakes(manifest)).as(manifest.toString()).isEmpty();
            assertThat(manifest.json().path("metadata").has("namespace")).isFalse();
            assertThat(manifest.json().toString().toLowerCase(Locale.ROOT)).doesNotContain("helm");
        });
    }

    @Test
    void the_demo_has_the_server_that_penstock_is_configured_to_call() throws IOException {
        List<Manifest> demo = new ArrayList<>();
        for (Path file : resources(PlainManifests.FOLDER.resolve("overlays").resolve("demo"))) {
            demo.addAll(Manifest.all(Files.readString(file)));
        }
        String config = demo.stream()
                .filter(manifest -> manifest.is("ConfigMap"))
                .map(manifest ->
                        manifest.json().path("data").path("application.yaml").asText())
                .findFirst()
                .orElseThrow();
        JsonNode penstock = Manifest.YAML.readTree(config).path("penstock");

        // Strimzi's Service for the Kafka resource of this name
        assertThat(demo)
                .anyMatch(manifest -> manifest.is("Kafka") && manifest.name().equals("kafka"));
        assertThat(demo.toString()).contains("Service ollama");
        assertThat(demo)
                .filteredOn(
                        manifest -> manifest.is("Deployment") && manifest.name().equals("penstock"))
                .allSatisfy(manifest -> assertThat(manifest.json().toString())
                        .contains("\"KAFKA_BOOTSTRAP_SERVERS\",\"value\":\"kafka-kafka-bootstrap:9092\""));
        assertThat(penstock.at("/nodes/ollama/url").asText()).isEqualTo("http://ollama:11434");
        // the pulled model is the one for the jobs
        String model = penstock.at("/profiles/fast/ollama").asText();
        assertThat(demo)
                .filteredOn(manifest -> manifest.is("Job"))
                .singleElement()
                .satisfies(job -> assertThat(job.json()
                                .at("/spec/template/spec/containers/0/args/1")
                                .asText())
                        .isEqualTo(model));
    }

    /** Returns every file of a kustomization and of those beneath it. */
    private static List<Path> resources(Path folder) throws IOException {
        JsonNode kustomization = Manifest.YAML.readTree(Files.readString(folder.resolve("kustomization.yaml")));
        List<Path> files = new ArrayList<>();
        for (JsonNode resource : kustomization.path("resources")) {
            Path path = folder.resolve(resource.asText()).normalize();
            if (Files.isDirectory(path)) {
                files.addAll(resources(path));
            } else {
                files.add(path);
            }
        }
        try (Stream<Path> beside = Files.list(folder)) {
            assertThat(beside.filter(file -> !file.endsWith("kustomization.yaml")))
                    .as("files that %s does not name", folder)
                    .allMatch(files::contains);
        }
        return files;
    }
}
