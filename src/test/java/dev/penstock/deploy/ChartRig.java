package dev.penstock.deploy;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/** Finds objects, and parts of them, in what the chart renders. */
final class ChartRig {
    static final String MINIMAL = """
            penstock:
              auth: {mode: none}
              nodes: {a: {backend: vllm, url: "http://a:8000"}}
            kafka: {bootstrapServers: "kafka:9092"}
            """;

    private ChartRig() {}

    static List<Manifest> workloads(Path values) {
        return Chart.render(values).stream()
                .filter(manifest -> manifest.is("Deployment"))
                .toList();
    }

    static Manifest named(List<Manifest> manifests, String kind, String name) {
        return manifests.stream()
                .filter(manifest -> manifest.is(kind) && manifest.name().equals(name))
                .findFirst()
                .orElseThrow();
    }

    static List<String> names(List<Manifest> manifests, String kind) {
        return manifests.stream()
                .filter(manifest -> manifest.is(kind))
                .map(Manifest::name)
                .toList();
    }

    static List<String> serviceNames(List<Manifest> manifests) {
        return names(manifests, "Service");
    }

    static JsonNode container(Manifest workload) {
        return workload.podTemplate().path("spec").path("containers").path(0);
    }

    static List<String> portNames(Manifest workload) {
        return container(workload).path("ports").findValuesAsText("name");
    }

    static Map<String, String> selector(JsonNode selector) {
        return Manifest.strings(selector.path("matchLabels"));
    }

    static Map<String, String> podLabels(Manifest workload) {
        return Manifest.strings(workload.podTemplate().path("metadata").path("labels"));
    }

    static List<Manifest> selected(List<Manifest> workloads, Map<String, String> selector) {
        return workloads.stream()
                .filter(workload -> podLabels(workload).entrySet().containsAll(selector.entrySet()))
                .toList();
    }
}
