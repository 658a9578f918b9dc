package dev.penstock.deploy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Wrong values are refused before anything reaches the cluster, and the message names the value. */
class ChartRefusalsTest {
    private static final String GOOD = """
            penstock:
              auth: {mode: none}
              nodes:
                gpu-a: {backend: vllm, url: "http://vllm:8000"}
              ledger: {kind: sqlite}
            kafka:
              bootstrapServers: kafka:9092
            """;

    /** Left: YAML that overrides good values; right: the expected part of the message. */
    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
                    penstock: {auth: {mode: keys}}                            | /penstock/auth/mode
                    penstock: {nodes: ~}                                      | penstock.nodes: there is no model server
                    penstock: {nodes: {gpu-a: {backend: vlm}}}                | /penstock/nodes/gpu-a/backend
                    penstock: {nodes: {gpu-a: {url: "vllm:8000"}}}            | /penstock/nodes/gpu-a/url
                    penstock: {nodes: {gpu-a: {max-inflight: 2}}}             | max-inflight
                    penstock: {nodes: {gpu-a: {api-key: sk-1}}}               | api-key
                    penstock: {nodes: {gpu-a: {pull: missing}}}               | penstock.nodes.gpu-a.pull: vllm fetches no models on command
                    penstock: {default-profile: fast}                         | penstock.default-profile: there is no profile 'fast'
                    penstock: {drain: {timeout: 90}}                          | /penstock/drain/timeout
                    penstock: {jobs: {timeout: 2h}}                           | penstock.jobs.timeout is above penstock.jobs.max-timeout
                    penstock: {intake: {slots: 100000}}                       | /penstock/intake/slots
                    penstock: {intake: {slots: 8, low-share: 2}}              | /penstock/intake/low-share
                    penstock: {intake: {topics: [{name: a, priority: top}]}}  | /penstock/intake/topics/0/priority
                    penstock: {replies: {compression: zip}}                   | /penstock/replies/compression
                    penstock: {ledger: {kind: mysql}}                         | /penstock/ledger/kind
                    penstock: {ledger: {kind: postgresql}}                    | penstock.ledger.url must be set
                    penstock: {ledger: {kind: postgresql, url: "jdbc:postgresql://db/p"}} | database.existingSecret
                    penstock: {ledger: {kind: postgresql, url: "jdbc:postgresql://u:p@db/p"}} | /penstock/ledger/url
                    penstock: {ledger: {kind: postgresql, url: "jdbc:postgresql://db/p?user=u"}} | /penstock/ledger/url
                    penstock: {ledger: {kind: postgresql, url: "jdbc:postgresql://db/p?ssl=true&password=p"}} | /penstock/ledger/url
                    penstock: {ledger: {kind: postgresql, url: "jdbc:postgresql://db/p?sslpassword=p"}} | /penstock/ledger/url
                    penstock: {ledger: {password: secret}}                    | password
                    penstock: {replicas: 3}                                   | replicas
                    replicas: 2                                               | replicas is 2: SQLite is for one replica
                    replicas: 1000                                            | /replicas
                    api: {enabled: true}                                      | api.enabled: SQLite is for one replica
                    updateStrategy: RollingUpdate                             | updateStrategy: with penstock.ledger.kind sqlite
                    autoscaling: {kind: hpa, maxReplicas: 3}                  | autoscaling.maxReplicas is above 1: SQLite
                    autoscaling: {kind: hpa, minReplicas: 0, maxReplicas: 1}  | autoscaling.minReplicas is 0: only KEDA
                    autoscaling: {kind: hpa, minReplicas: 2, maxReplicas: 1}  | autoscaling.minReplicas is above autoscaling.maxReplicas
                    autoscaling: {kind: keda, maxReplicas: 1}                 | autoscaling.keda.prometheusAddress must be set
                    autoscaling: {kind: vpa}                                  | /autoscaling/kind
                    kafka: {bootstrapServers: ""}                             | kafka.bootstrapServers must be set
                    kafka: {bootstrapServers: kafka}                          | /kafka/bootstrapServers
                    kafka: {securityProtocol: SASL_SSL}                       | kafka.sasl.existingSecret must name a Secret
                    kafka: {securityProtocol: TLS}                            | /kafka/securityProtocol
                    kafka: {sasl: {existingSecret: a}}                        | kafka.sasl.existingSecret is for SASL
                    kafka: {tls: {caSecret: a}}                               | kafka.tls is for TLS
                    kafka: {properties: {sasl.jaas.config: a}}                | kafka.properties: sasl.jaas.config holds a secret
                    kafka: {password: a}                                      | password
                    kafka: {bootstrapServers: "broker.example.com:9092"}      | networkPolicy.hosts: kafka.bootstrapServers names broker.example.com
                    nodeApiKeys: {gpu-b: {existingSecret: a, key: b}}         | nodeApiKeys.gpu-b: there is no node 'gpu-b'
                    nodeApiKeys: {gpu-a: {existingSecret: a}}                 | /nodeApiKeys/gpu-a
                    webhookSecrets: {orders: {existingSecret: a, key: b}}     | webhookSecrets.orders: there is no webhook 'orders' in penstock.webhooks
                    penstock: {webhooks: {orders: {url: "http://a"}}}         | webhookSecrets.orders must name the Secret of the webhook
                    penstock: {webhooks: {orders: {url: "http://a", secret: b}}} | secret
                    networkPolicy: {enabled: false}                           | networkPolicy.enabled: with penstock.auth.mode none
                    ingress: {enabled: true}                                  | ingress.hosts: name at least one host
                    httpRoute: {enabled: true}                                | httpRoute.parentRefs: name the Gateway
                    ingress: {enabled: true, hosts: [{host: a.example.com}]}  | networkPolicy.clients lets in pods of this namespace only, so that no client gets in by ingress
                    service: {type: NodePort}                                 | so that no client gets in by service.type NodePort
                    extraEnv: [{name: VLLM_URL, value: "http://vllm:8000"}]   | extraEnv: VLLM_URL makes a node of a model server that the NetworkPolicy does not know
                    extraEnv: [{name: OPENAI_API_KEY, value: k}]              | extraEnv: OPENAI_API_KEY makes a node
                    extraEnv: [{name: ANTHROPIC_API_KEY, value: k}]           | extraEnv: ANTHROPIC_API_KEY makes a node
                    extraEnv: [{name: ANTHROPIC_BASE_URL, value: "http://a"}] | name it in penstock.nodes, as anthropic
                    penstock: {images: {allowed-hosts: [pictures.example.com]}} | networkPolicy.hosts: penstock.images.allowed-hosts names pictures.example.com
                    strimzi: {enabled: true}                                  | strimzi.cluster must name
                    strimzi: {enabled: true, cluster: events}                 | strimzi.user: with kafka.securityProtocol PLAINTEXT no client would use the user penstock
                    strimzi: {enabled: true, cluster: events, authentication: tls} | kafka.tls.clientSecret does not name the Secret of the user penstock
                    preStopSeconds: 60                                        | /preStopSeconds
                    image: {digest: "sha256:1"}                               | /image/digest
                    service: {port: 70000}                                    | /service/port
                    resources: {limits: {memory: lots}}                       | /resources/limits/memory
                    podSecurity: {runAsUser: 0}                               | /podSecurity/runAsUser
                    probes: {liveness: {path: /}}                             | path
                    replicaCount: 2                                           | replicaCount
                    """)
    void a_wrong_value_is_refused_by_name(String values, String message) {
        assertThatThrownBy(() -> Chart.render(Chart.valuesFile(GOOD), Chart.valuesFile(values)))
                .hasMessageContaining(message);
    }

    @Test
    void a_variable_whose_node_is_named_already_makes_none_and_is_let_through() {
        String values = """
                penstock:
                  nodes:
                    openai: {backend: openai, url: "http://mirror:8000"}
                extraEnv: [{name: OPENAI_API_KEY, value: k}]
                """;

        assertThat(Chart.render(Chart.valuesFile(GOOD), Chart.valuesFile(values)))
                .hasSizeGreaterThan(5);
    }

    @Test
    void a_node_that_can_fetch_may_and_a_cluster_without_accounts_has_topics_alone() {
        String values = """
                penstock:
                  nodes:
                    cpu-a: {backend: ollama, url: "http://ollama:11434", pull: missing}
                    cpu-b: {backend: llama-server, url: "http://llama:8081", pull: missing}
                    gpu-a: {pull: never}
                strimzi: {enabled: true, cluster: events, user: ""}
                """;

        assertThat(Chart.render(Chart.valuesFile(GOOD), Chart.valuesFile(values)))
                .anyMatch(manifest -> manifest.is("KafkaTopic"))
                .noneMatch(manifest -> manifest.is("KafkaUser"));
    }

    @Test
    void two_nodes_whose_keys_would_share_a_variable_are_refused() {
        String values = """
                penstock:
                  nodes:
                    gpu_a: {backend: vllm, url: "http://other:8000"}
                nodeApiKeys:
                  gpu-a: {existingSecret: a, key: k}
                  gpu_a: {existingSecret: b, key: k}
                """;

        assertThatThrownBy(() -> Chart.render(Chart.valuesFile(GOOD), Chart.valuesFile(values)))
                .hasMessageContaining("nodeApiKeys: the names gpu-a and gpu_a differ too little");
    }

    @Test
    void who_may_call_must_be_set() {
        String values = GOOD.replace("  auth: {mode: none}\n", "");

        assertThatThrownBy(() -> Chart.render(Chart.valuesFile(values)))
                .hasMessageContaining("penstock.auth.mode must be set");
        assertThatThrownBy(() -> Chart.render(Chart.valuesFile("{}")))
                .hasMessageContaining("penstock.auth.mode must be set");
    }

    @Test
    void the_values_that_the_wrong_ones_are_laid_over_are_good() {
        assertThat(Chart.render(Chart.valuesFile(GOOD))).hasSizeGreaterThan(5);
    }

    @Test
    void every_object_of_the_schema_is_closed_and_every_number_has_a_maximum() throws IOException {
        JsonNode schema = Manifest.YAML.readTree(Files.readString(Chart.FOLDER.resolve("values.schema.json")));
        List<String> open = new ArrayList<>();

        walk(schema, "", open);

        assertThat(open).isEmpty();
    }

    private static void walk(JsonNode schema, String at, List<String> open) {
        if (schema.has("properties") && !schema.has("additionalProperties")) {
            open.add(at + ": takes unknown names");
        }
        String type = schema.path("type").toString();
        if ((type.contains("integer") || type.contains("number"))
                && !(schema.has("maximum") && schema.has("minimum"))) {
            open.add(at + ": has no minimum and maximum");
        }
        schema.properties().forEach(entry -> {
            if (entry.getKey().equals("properties")) {
                entry.getValue()
                        .properties()
                        .forEach(property -> walk(property.getValue(), at + "." + property.getKey(), open));
            } else if (entry.getValue() instanceof ObjectNode nested) {
                walk(nested, at + "/" + entry.getKey(), open);
            }
        });
    }
}
