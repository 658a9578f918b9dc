package dev.penstock.deploy;

import static dev.penstock.deploy.ChartRig.MINIMAL;
import static dev.penstock.deploy.ChartRig.container;
import static dev.penstock.deploy.ChartRig.names;
import static dev.penstock.deploy.ChartRig.podLabels;
import static dev.penstock.deploy.ChartRig.portNames;
import static dev.penstock.deploy.ChartRig.selected;
import static dev.penstock.deploy.ChartRig.selector;
import static dev.penstock.deploy.ChartRig.serviceNames;
import static dev.penstock.deploy.ChartRig.workloads;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.marcnuri.helm.LintResult;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Tests the chart with the values files that come with it. */
class ChartTest {
    private static final ManifestSchemas SCHEMAS = new ManifestSchemas();

    static Stream<Path> ciValues() {
        return Chart.ciValues().stream();
    }

    @ParameterizedTest
    @MethodSource("ciValues")
    void every_document_is_valid(Path values) {
        List<Manifest> manifests = Chart.render(values);

        assertThat(manifests).hasSizeGreaterThan(5);
        assertThat(manifests)
                .allSatisfy(manifest -> assertThat(SCHEMAS.mistakes(manifest))
                        .as(manifest.toString())
                        .isEmpty());
        assertThat(manifests).extracting(Manifest::toString).doesNotHaveDuplicates();
    }

    @Test
    void a_kind_without_a_schema_is_a_mistake() {
        Manifest unknown = Manifest.all("{apiVersion: v1, kind: Gadget, metadata: {name: a}}")
                .getFirst();

        assertThat(SCHEMAS.mistakes(unknown)).containsExactly("there is no schema for v1 Gadget");
    }

    @Test
    void a_field_that_kubernetes_does_not_know_or_reads_otherwise_is_a_mistake() {
        Manifest wrong = Manifest.all("""
                        apiVersion: apps/v1
                        kind: Deployment
                        metadata: {name: a}
                        spec:
                          replicas: "1"
                          selector: {matchLabels: {a: b}}
                          template: {spec: {containers: [{name: c, imagePullpolicy: Always, resources: {limits: {memory: 1x}}}]}}
                        """).getFirst();

        assertThat(SCHEMAS.mistakes(wrong))
                .hasSize(3)
                .anyMatch(mistake -> mistake.startsWith(".spec.replicas: must be an integer"))
                .anyMatch(
                        mistake -> mistake.startsWith(".spec.template.spec.containers[0].imagePullpolicy: is unknown"))
                .anyMatch(mistake -> mistake.startsWith(
                        ".spec.template.spec.containers[0].resources.limits.memory: must be a quantity"));
    }

    @Test
    void lint_finds_nothing() {
        LintResult lint = Chart.lint();

        assertThat(lint.isFailed()).as(String.join("\n", lint.getMessages())).isFalse();
        assertThat(lint.getMessages())
                .noneMatch(message -> message.contains("[ERROR]") || message.contains("[WARNING]"));
    }

    @ParameterizedTest
    @MethodSource("ciValues")
    void whatever_names_another_object_finds_it(Path values) {
        List<Manifest> manifests = Chart.render(values);
        List<Manifest> workloads =
                manifests.stream().filter(manifest -> manifest.is("Deployment")).toList();

        for (Manifest workload : workloads) {
            Map<String, String> labels = podLabels(workload);
            assertThat(labels).containsAllEntriesOf(selector(workload.spec().path("selector")));
            workload.podTemplate()
                    .path("spec")
                    .path("topologySpreadConstraints")
                    .forEach(constraint ->
                            assertThat(labels).containsAllEntriesOf(selector(constraint.path("labelSelector"))));
            mountsAreVolumes(workload);
        }
        for (Manifest manifest : manifests) {
            switch (manifest.kind()) {
                case "Service" -> {
                    Map<String, String> selector =
                            Manifest.strings(manifest.spec().path("selector"));
                    List<Manifest> selected = selected(workloads, selector);
                    assertThat(selected).as(manifest.toString()).isNotEmpty();
                    manifest.spec()
                            .path("ports")
                            .forEach(port -> assertThat(selected)
                                    .allSatisfy(workload -> assertThat(portNames(workload))
                                            .contains(port.path("targetPort").asText())));
                }
                case "PodDisruptionBudget" ->
                    assertThat(selected(workloads, selector(manifest.spec().path("selector"))))
                            .as(manifest.toString())
                            .hasSize(1);
                case "NetworkPolicy" -> {
                    // a rule without peers or ports is open to all of them
                    manifest.spec().path("egress").forEach(rule -> {
                        assertThat(rule.path("ports")).isNotEmpty();
                        assertThat(rule.path("to")).isNotEmpty().noneMatch(JsonNode::isEmpty);
                    });
                    assertThat(selected(workloads, selector(manifest.spec().path("podSelector"))))
                            .hasSameSizeAs(workloads);
                    manifest.spec()
                            .path("ingress")
                            .findValues("port")
                            .forEach(port -> assertThat(workloads)
                                    .allSatisfy(workload ->
                                            assertThat(portNames(workload)).contains(port.asText())));
                }
                case "ServiceMonitor" -> {
                    List<Manifest> services = manifests.stream()
                            .filter(other -> other.is("Service"))
                            .filter(service -> service.labels()
                                    .entrySet()
                                    .containsAll(selector(manifest.spec().path("selector"))
                                            .entrySet()))
                            .toList();
                    assertThat(services).extracting(Manifest::name).containsExactly("demo-penstock-metrics");
                    assertThat(services.getFirst().spec().path("ports").findValuesAsText("name"))
                            .containsAll(manifest.spec().path("endpoints").findValuesAsText("port"));
                }
                case "ScaledObject", "HorizontalPodAutoscaler" -> {
                    String target =
                            manifest.spec().path("scaleTargetRef").path("name").asText();
                    Manifest workload = workloads.stream()
                            .filter(other -> other.name().equals(target))
                            .findFirst()
                            .orElseThrow();
                    assertThat(workload.spec().has("replicas"))
                            .as("replicas beside %s", manifest)
                            .isFalse();
                }
                case "Ingress" ->
                    assertThat(serviceNames(manifests))
                            .containsAll(manifest.spec().path("rules").findValues("service").stream()
                                    .map(service -> service.path("name").asText())
                                    .toList());
                case "HTTPRoute" ->
                    assertThat(serviceNames(manifests))
                            .containsAll(manifest.spec().path("rules").findValues("backendRefs").stream()
                                    .map(backends ->
                                            backends.path(0).path("name").asText())
                                    .toList());
                default -> {
                    // has no reference
                }
            }
        }
        triggersHaveTheirAuthentication(manifests);
        configurationIsThere(manifests, workloads);
    }

    private static void triggersHaveTheirAuthentication(List<Manifest> manifests) {
        Set<String> made = new HashSet<>(Set.of("prometheus")); // a TriggerAuthentication of the user, in the values
        manifests.stream()
                .filter(manifest -> manifest.is("TriggerAuthentication"))
                .forEach(manifest -> made.add(manifest.name()));
        manifests.stream()
                .filter(manifest -> manifest.is("ScaledObject"))
                .forEach(scaler -> assertThat(made)
                        .containsAll(scaler.spec().path("triggers").findValues("authenticationRef").stream()
                                .map(reference -> reference.path("name").asText())
                                .toList()));
    }

    private static void configurationIsThere(List<Manifest> manifests, List<Manifest> workloads) {
        List<String> configMaps = names(manifests, "ConfigMap");
        List<String> claims = names(manifests, "PersistentVolumeClaim");
        for (Manifest workload : workloads) {
            for (JsonNode volume : workload.podTemplate().path("spec").path("volumes")) {
                if (volume.path("name").asText().equals("config")) {
                    assertThat(configMaps)
                            .contains(volume.path("configMap").path("name").asText());
                }
                if (volume.has("persistentVolumeClaim")) {
                    assertThat(claims)
                            .contains(volume.path("persistentVolumeClaim")
                                    .path("claimName")
                                    .asText());
                }
            }
        }
    }

    private static void mountsAreVolumes(Manifest workload) {
        JsonNode pod = workload.podTemplate().path("spec");
        List<String> volumes = new ArrayList<>();
        pod.path("volumes").forEach(volume -> volumes.add(volume.path("name").asText()));
        List<String> mounted = pod.path("containers").findValues("volumeMounts").stream()
                .flatMap(mounts -> mounts.findValuesAsText("name").stream())
                .toList();
        assertThat(volumes).doesNotHaveDuplicates().containsExactlyInAnyOrderElementsOf(mounted);
    }

    @ParameterizedTest
    @MethodSource("ciValues")
    void probes_ask_the_management_port(Path values) {
        workloads(values).forEach(workload -> {
            JsonNode container = container(workload);
            for (String probe : List.of("startupProbe", "readinessProbe", "livenessProbe")) {
                assertThat(container.path(probe).path("httpGet").path("port").asText())
                        .isEqualTo("management");
            }
            assertThat(portNames(workload)).containsExactly("http", "management");
        });
    }

    @ParameterizedTest
    @MethodSource("ciValues")
    void every_pod_keeps_to_the_restricted_standard(Path values) {
        List<Manifest> pods = Chart.render(values).stream()
                .filter(manifest -> manifest.is("Deployment") || manifest.is("Pod"))
                .toList();

        assertThat(pods).isNotEmpty().allSatisfy(workload -> {
            JsonNode pod = workload.podTemplate().path("spec");
            assertThat(pod.path("securityContext").path("runAsNonRoot").asBoolean())
                    .isTrue();
            assertThat(pod.path("securityContext")
                            .path("seccompProfile")
                            .path("type")
                            .asText())
                    .isEqualTo("RuntimeDefault");
            assertThat(pod.path("automountServiceAccountToken").asBoolean(true)).isFalse();
            assertThat(pod.path("enableServiceLinks").asBoolean(true)).isFalse();
            pod.path("containers").forEach(container -> {
                JsonNode security = container.path("securityContext");
                assertThat(security.path("allowPrivilegeEscalation").asBoolean(true))
                        .isFalse();
                assertThat(security.path("readOnlyRootFilesystem").asBoolean()).isTrue();
                assertThat(security.path("capabilities").path("drop").path(0).asText())
                        .isEqualTo("ALL");
                assertThat(security.path("capabilities").has("add")).isFalse();
                assertThat(container.path("resources").path("requests").has("memory"))
                        .isTrue();
                assertThat(container.path("resources").path("limits").has("memory"))
                        .isTrue();
            });
            pod.path("volumes")
                    .forEach(volume -> assertThat(volume.properties().stream()
                                    .map(Map.Entry::getKey)
                                    .filter(key -> !key.equals("name")))
                            .isSubsetOf("configMap", "emptyDir", "secret", "persistentVolumeClaim"));
            if (workload.is("Deployment")) {
                List<String> writable = new ArrayList<>();
                container(workload).path("volumeMounts").forEach(mount -> {
                    if (!mount.path("readOnly").asBoolean()) {
                        writable.add(mount.path("mountPath").asText());
                    }
                });
                assertThat(writable).contains("/tmp").isSubsetOf("/tmp", "/data");
            }
        });
    }

    @ParameterizedTest
    @MethodSource("ciValues")
    void a_secret_stands_in_no_variable_and_no_file(Path values) {
        for (Manifest workload : workloads(values)) {
            Map<String, JsonNode> variables = new HashMap<>();
            for (JsonNode variable : container(workload).path("env")) {
                assertThat(variables.put(variable.path("name").asText(), variable))
                        .as("%s is there twice", variable)
                        .isNull();
                if (variable.path("name").asText().matches(".*(PASSWORD|KEY$|API_KEY).*")) {
                    assertThat(variable.path("valueFrom").has("secretKeyRef"))
                            .as(variable.toString())
                            .isTrue();
                }
                if (variable.path("name").asText().equals("KAFKA_SASL_JAAS_CONFIG") && variable.has("value")) {
                    assertThat(variable.path("value").asText())
                            .endsWith("required username=\"$(SASL_USERNAME)\" password=\"$(SASL_PASSWORD)\";");
                    // expanded from variables before it
                    assertThat(variables).containsKeys("SASL_USERNAME", "SASL_PASSWORD");
                }
            }
        }
        assertThat(Chart.render(values)).noneMatch(manifest -> manifest.is("Secret"));
    }

    @Test
    void the_checksum_changes_with_the_configuration_alone() {
        String first = checksum(MINIMAL);

        assertThat(checksum(MINIMAL)).isEqualTo(first);
        assertThat(checksum(MINIMAL + "service: {port: 80}\n")).isEqualTo(first);
        assertThat(checksum(MINIMAL.replace("http://a:8000", "http://a:8001"))).isNotEqualTo(first);
        assertThat(checksum(MINIMAL.replace("auth:", "drain: {timeout: 61s}\n  auth:")))
                .isNotEqualTo(first);
    }

    private static String checksum(String values) {
        return workloads(Chart.valuesFile(values))
                .getFirst()
                .podTemplate()
                .path("metadata")
                .path("annotations")
                .path("checksum/config")
                .asText();
    }
}
