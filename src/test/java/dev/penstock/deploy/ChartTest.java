package dev.penstock.deploy;

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
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Tests the chart with the values files that come with it. */
class ChartTest {
    private static final ManifestSchemas SCHEMAS = new ManifestSchemas();
    private static final String MINIMAL = """
            penstock:
              auth: {mode: none}
              nodes: {a: {backend: vllm, url: "http://a:8000"}}
            kafka: {bootstrapServers: "kafka:9092"}
            """;

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
    void the_grace_period_is_the_drain_and_30_seconds() {
        assertThat(gracePeriods("drain: {timeout: 60s}")).containsExactly(90);
        assertThat(gracePeriods("drain: {timeout: 3m}")).containsExactly(210);
        assertThat(gracePeriods("drain: {timeout: 1h}")).containsExactly(3630);
        assertThat(gracePeriods("profiles: {}")).containsExactly(90);
    }

    private static List<Integer> gracePeriods(String drain) {
        Path values = Chart.valuesFile(MINIMAL.replace("  auth:", "  " + drain + "\n  auth:"));
        return workloads(values).stream()
                .map(workload -> {
                    JsonNode pod = workload.podTemplate().path("spec");
                    int sleeps = container(workload)
                            .path("lifecycle")
                            .path("preStop")
                            .path("sleep")
                            .path("seconds")
                            .asInt();
                    int grace = pod.path("terminationGracePeriodSeconds").asInt();
                    // its sleep counts, and the rest of the time is for hand-backs
                    assertThat(sleeps).isLessThan(30);
                    return grace;
                })
                .toList();
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

    @Test
    void sqlite_has_a_volume_and_one_replica_at_a_time() {
        List<Manifest> manifests = Chart.render(Chart.ciValues("single-node"));
        Manifest workload = manifests.stream()
                .filter(manifest -> manifest.is("Deployment"))
                .findFirst()
                .orElseThrow();

        assertThat(names(manifests, "PersistentVolumeClaim")).containsExactly("demo-penstock");
        assertThat(workload.spec().path("strategy").path("type").asText()).isEqualTo("Recreate");
        assertThat(workload.spec().path("replicas").asInt()).isEqualTo(1);
    }

    @Test
    void a_rolling_update_never_takes_a_replica_away_first() {
        assertThat(workloads(Chart.ciValues("production"))).hasSize(2).allSatisfy(workload -> {
            JsonNode strategy = workload.spec().path("strategy");
            assertThat(strategy.path("type").asText()).isEqualTo("RollingUpdate");
            assertThat(strategy.path("rollingUpdate").path("maxUnavailable").asInt(-1))
                    .isZero();
        });
    }

    @Test
    void replicas_that_only_serve_the_api_get_the_service_and_take_no_jobs() {
        List<Manifest> manifests = Chart.render(Chart.ciValues("production"));
        Manifest api = named(manifests, "Deployment", "demo-penstock-api");
        Manifest worker = named(manifests, "Deployment", "demo-penstock");
        Map<String, String> selector = Manifest.strings(
                named(manifests, "Service", "demo-penstock").spec().path("selector"));

        assertThat(selected(List.of(api, worker), selector)).containsExactly(api);
        assertThat(container(api).path("env").toString())
                .contains("{\"name\":\"PENSTOCK_INTAKE_ENABLED\",\"value\":\"false\"}");
        assertThat(container(worker).path("env").toString()).doesNotContain("PENSTOCK_INTAKE_ENABLED");
    }

    @Test
    void the_network_policy_lets_out_to_what_the_configuration_names_and_nowhere_else() {
        Manifest policy = named(Chart.render(Chart.ciValues("production")), "NetworkPolicy", "demo-penstock");

        Set<String> ways = new TreeSet<>();
        policy.spec()
                .path("egress")
                .forEach(rule -> rule.path("to")
                        .forEach(peer -> rule.path("ports")
                                .forEach(port -> ways.add(
                                        where(peer) + " " + port.path("port").asText()))));
        assertThat(ways)
                .containsExactly(
                        "0.0.0.0/0 443",
                        "198.51.100.0/24 9094",
                        "databases 5432",
                        "kube-system/{\"k8s-app\":\"kube-dns\"} 53",
                        "models 8000",
                        "models/{\"app\":\"vllm-a\"} 8000",
                        "observability 4317");
        assertThat(policy.spec().path("policyTypes").toString()).isEqualTo("[\"Ingress\",\"Egress\"]");
        assertThat(policy.spec()
                        .path("ingress")
                        .path(1)
                        .path("ports")
                        .path(0)
                        .path("port")
                        .asText())
                .isEqualTo("management");
    }

    private static String where(JsonNode peer) {
        if (peer.has("ipBlock")) {
            return peer.path("ipBlock").path("cidr").asText();
        }
        String namespace = peer.path("namespaceSelector")
                .path("matchLabels")
                .path("kubernetes.io/metadata.name")
                .asText();
        return peer.has("podSelector")
                ? namespace + "/" + peer.path("podSelector").path("matchLabels")
                : namespace;
    }

    @Test
    void from_zero_keda_looks_at_the_groups_itself() {
        List<Manifest> manifests = Chart.render(Chart.ciValues("from-zero"));
        JsonNode scaler = named(manifests, "ScaledObject", "demo-penstock").spec();

        assertThat(scaler.path("minReplicaCount").asInt(-1)).isZero();
        assertThat(scaler.path("triggers").findValuesAsText("type"))
                .containsExactly("prometheus", "prometheus", "kafka", "kafka", "kafka", "kafka");
        // the scaler also reads a topic without consumers so far, if its name is listed
        assertThat(scaler.path("triggers").findValuesAsText("topic"))
                .containsExactly("prompt-jobs-high", "prompt-jobs", "prompt-jobs-low", "prompt-jobs-deferred");
        assertThat(scaler.path("triggers").findValuesAsText("consumerGroup"))
                .containsExactly(
                        "penstock-ledger", "penstock-ledger", "penstock-ledger", "penstock.prompt-jobs-deferred");
        assertThat(named(manifests, "TriggerAuthentication", "demo-penstock-kafka")
                        .spec()
                        .path("secretTargetRef")
                        .findValuesAsText("name"))
                .containsExactly("keda-kafka", "keda-kafka", "events-cluster-ca-cert");
        // a replica drains for this long before the next one may go
        assertThat(scaler.at("/advanced/horizontalPodAutoscalerConfig/behavior/scaleDown/policies/0/periodSeconds")
                        .asInt())
                .isGreaterThan(60);
        JsonNode threeAtLeast = named(Chart.render(Chart.ciValues("production")), "ScaledObject", "demo-penstock")
                .spec();
        assertThat(threeAtLeast.path("minReplicaCount").asInt()).isEqualTo(3);
        assertThat(threeAtLeast.path("triggers").findValuesAsText("type")).containsExactly("prometheus", "prometheus");
        // no series: no work where there may be no replica, and a broken scrape where there is always one
        assertThat(scaler.path("triggers").findValuesAsText("query"))
                .hasSize(2)
                .allMatch(query -> query.endsWith(" or vector(0)"));
        assertThat(scaler.path("triggers").findValues("ignoreNullValues")).isEmpty();
        assertThat(threeAtLeast.path("triggers").findValuesAsText("query"))
                .hasSize(2)
                .noneMatch(query -> query.contains("vector"));
        assertThat(threeAtLeast.path("triggers").findValuesAsText("ignoreNullValues"))
                .containsExactly("false", "false");
    }

    @Test
    void a_backlog_that_no_attempt_was_ever_made_at_is_stuck_too() {
        Manifest rules = named(Chart.render(Chart.ciValues("production")), "PrometheusRule", "demo-penstock");

        assertThat(rules.spec().findValuesAsText("expr"))
                .filteredOn(expression -> expression.contains("penstock_attempts_total")
                        && expression.contains("penstock_jobs_in_flight"))
                .singleElement()
                .asString()
                .contains("(sum(increase(penstock_attempts_total{")
                .contains("[15m])) or vector(0)) == 0");
    }

    @Test
    void a_large_number_of_the_kafka_properties_is_written_out() {
        String values = MINIMAL.replace(
                "\"kafka:9092\"",
                "\"kafka:9092\", properties: {metadata.max.age.ms: 1800000, client.rack: eu-1, check.crcs: false}");

        Map<String, String> variables = new HashMap<>();
        container(workloads(Chart.valuesFile(values)).getFirst())
                .path("env")
                .forEach(variable -> variables.put(
                        variable.path("name").asText(), variable.path("value").asText()));

        assertThat(variables)
                .containsEntry("KAFKA_METADATA_MAX_AGE_MS", "1800000")
                .containsEntry("KAFKA_CLIENT_RACK", "eu-1")
                .containsEntry("KAFKA_CHECK_CRCS", "false");
    }

    @Test
    void the_brokers_beyond_the_bootstrap_address_are_let_out_to() {
        Manifest policy = named(Chart.render(Chart.ciValues("air-gapped")), "NetworkPolicy", "demo-penstock");

        assertThat(policy.spec().path("egress"))
                .anyMatch(rule -> where(rule.path("to").path(0)).equals("10.20.1.0/24")
                        && rule.path("ports").findValuesAsText("port").equals(List.of("9093")));
    }

    @Test
    void the_deferred_group_has_the_name_of_its_topic() {
        String values = MINIMAL.replace("  auth:", "  topics: {deferred: llm.deferred}\n  auth:")
                        .replace("nodes:", "ledger: {kind: postgresql, url: \"jdbc:postgresql://db/p\"}\n  nodes:")
                + """
                database: {existingSecret: db}
                autoscaling: {kind: keda, minReplicas: 0, keda: {prometheusAddress: "http://prometheus:9090"}}
                """;

        Manifest scaler = named(Chart.render(Chart.valuesFile(values)), "ScaledObject", "demo-penstock");

        assertThat(scaler.spec().path("triggers").findValuesAsText("consumerGroup"))
                .endsWith("penstock-ledger", "penstock.llm.deferred");
    }

    @Test
    void the_groups_of_an_installation_have_its_prefix() {
        String values = MINIMAL.replace("  auth:", "  groups-prefix: acme.\n  auth:")
                        .replace(
                                "kafka: {",
                                "kafka: {securityProtocol: SASL_SSL, sasl: {mechanism: SCRAM-SHA-512, existingSecret: penstock}, ")
                        .replace("nodes:", "ledger: {kind: postgresql, url: \"jdbc:postgresql://db/p\"}\n  nodes:")
                + """
                database: {existingSecret: db}
                autoscaling: {kind: keda, minReplicas: 0, keda: {prometheusAddress: "http://prometheus:9090", kafkaSecret: keda}}
                strimzi: {enabled: true, cluster: kafka, user: penstock}
                """;

        List<Manifest> manifests = Chart.render(Chart.valuesFile(values));

        assertThat(named(manifests, "ScaledObject", "demo-penstock")
                        .spec()
                        .path("triggers")
                        .findValuesAsText("consumerGroup"))
                .containsExactly(
                        "acme.penstock-ledger",
                        "acme.penstock-ledger",
                        "acme.penstock-ledger",
                        "acme.penstock.prompt-jobs-deferred");
        List<String> groups = new ArrayList<>();
        named(manifests, "KafkaUser", "penstock")
                .spec()
                .at("/authorization/acls")
                .forEach(acl -> {
                    if (acl.at("/resource/type").asText().equals("group")) {
                        groups.add(acl.at("/resource/patternType").asText() + " "
                                + acl.at("/resource/name").asText());
                    }
                });
        assertThat(groups).containsExactly("literal acme.penstock-ledger", "prefix acme.penstock.");
    }

    @Test
    void strimzi_makes_the_topics_as_the_service_would_and_lets_it_do_what_it_needs() {
        List<Manifest> manifests = Chart.render(Chart.ciValues("production"));
        Map<String, String> partitions = new HashMap<>();
        manifests.stream()
                .filter(manifest -> manifest.is("KafkaTopic"))
                .forEach(topic -> partitions.put(
                        topic.spec().path("topicName").asText(),
                        topic.spec().path("partitions").asText() + " "
                                + topic.spec()
                                        .path("config")
                                        .path("retention.ms")
                                        .asText()));

        assertThat(partitions)
                .containsExactlyInAnyOrderEntriesOf(Map.of(
                        "prompt-jobs-high", "4 604800000",
                        "prompt-jobs", "4 604800000",
                        "prompt-jobs-low", "4 604800000",
                        "search-jobs", "4 604800000",
                        "prompt-jobs-deferred", "4 604800000",
                        "prompt-replies", "12 86400000",
                        "prompt-commands", "4 86400000",
                        "prompt-jobs-dlq", "4 2592000000",
                        "penstock-settings", "1 -1"));
        JsonNode acls = named(manifests, "KafkaUser", "penstock")
                .spec()
                .path("authorization")
                .path("acls");
        Set<String> topics = new TreeSet<>();
        acls.forEach(acl -> {
            if (acl.path("resource").path("type").asText().equals("topic")) {
                topics.add(acl.path("resource").path("name").asText());
                assertThat(acl.path("operations").toString())
                        .isEqualTo("[\"Read\",\"Write\",\"Describe\",\"DescribeConfigs\"]");
            }
        });
        assertThat(topics).isEqualTo(new TreeSet<>(partitions.keySet()));
    }

    @ParameterizedTest
    @CsvSource({"'', lz4", "compression: none, uncompressed", "compression: gzip, gzip"})
    void strimzi_makes_the_reply_topic_as_the_events_are_compressed(String given, String ofTopic) {
        String values = MINIMAL.replace("  auth:", "  replies: {%s}\n  auth:".formatted(given))
                + "strimzi: {enabled: true, cluster: kafka, user: \"\"}\n";

        Manifest replies = named(Chart.render(Chart.valuesFile(values)), "KafkaTopic", "prompt-replies");

        assertThat(replies.spec().path("config").path("compression.type").asText())
                .isEqualTo(ofTopic);
    }

    private static List<Manifest> workloads(Path values) {
        return Chart.render(values).stream()
                .filter(manifest -> manifest.is("Deployment"))
                .toList();
    }

    private static Manifest named(List<Manifest> manifests, String kind, String name) {
        return manifests.stream()
                .filter(manifest -> manifest.is(kind) && manifest.name().equals(name))
                .findFirst()
                .orElseThrow();
    }

    private static List<String> names(List<Manifest> manifests, String kind) {
        return manifests.stream()
                .filter(manifest -> manifest.is(kind))
                .map(Manifest::name)
                .toList();
    }

    private static List<String> serviceNames(List<Manifest> manifests) {
        return names(manifests, "Service");
    }

    private static JsonNode container(Manifest workload) {
        return workload.podTemplate().path("spec").path("containers").path(0);
    }

    private static List<String> portNames(Manifest workload) {
        return container(workload).path("ports").findValuesAsText("name");
    }

    private static Map<String, String> selector(JsonNode selector) {
        return Manifest.strings(selector.path("matchLabels"));
    }

    private static Map<String, String> podLabels(Manifest workload) {
        return Manifest.strings(workload.podTemplate().path("metadata").path("labels"));
    }

    private static List<Manifest> selected(List<Manifest> workloads, Map<String, String> selector) {
        return workloads.stream()
                .filter(workload -> podLabels(workload).entrySet().containsAll(selector.entrySet()))
                .toList();
    }
}
