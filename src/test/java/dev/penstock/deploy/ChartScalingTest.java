package dev.penstock.deploy;

import static dev.penstock.deploy.ChartRig.MINIMAL;
import static dev.penstock.deploy.ChartRig.container;
import static dev.penstock.deploy.ChartRig.named;
import static dev.penstock.deploy.ChartRig.names;
import static dev.penstock.deploy.ChartRig.selected;
import static dev.penstock.deploy.ChartRig.selector;
import static dev.penstock.deploy.ChartRig.workloads;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** How many replicas the chart runs, how it adds and removes them, and which alerts it raises. */
class ChartScalingTest {
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
}
