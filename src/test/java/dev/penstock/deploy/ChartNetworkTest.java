package dev.penstock.deploy;

import static dev.penstock.deploy.ChartRig.named;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;

/** The addresses that the chart's network policy lets the service reach. */
class ChartNetworkTest {
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
                        "observability 4317",
                        "orders 8080");
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
    void the_brokers_beyond_the_bootstrap_address_are_let_out_to() {
        Manifest policy = named(Chart.render(Chart.ciValues("air-gapped")), "NetworkPolicy", "demo-penstock");

        assertThat(policy.spec().path("egress"))
                .anyMatch(rule -> where(rule.path("to").path(0)).equals("10.20.1.0/24")
                        && rule.path("ports").findValuesAsText("port").equals(List.of("9093")));
    }
}
