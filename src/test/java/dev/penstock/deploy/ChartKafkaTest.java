package dev.penstock.deploy;

import static dev.penstock.deploy.ChartRig.MINIMAL;
import static dev.penstock.deploy.ChartRig.container;
import static dev.penstock.deploy.ChartRig.named;
import static dev.penstock.deploy.ChartRig.workloads;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What the chart makes for Kafka: topics, rights, groups and client properties. */
class ChartKafkaTest {
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
                .containsExactlyInAnyOrderEntriesOf(Map.ofEntries(
                        Map.entry("prompt-jobs-high", "4 604800000"),
                        Map.entry("prompt-jobs", "4 604800000"),
                        Map.entry("prompt-jobs-low", "4 604800000"),
                        Map.entry("search-jobs", "4 604800000"),
                        Map.entry("prompt-jobs-deferred", "4 604800000"),
                        Map.entry("prompt-replies", "12 86400000"),
                        Map.entry("prompt-commands", "4 86400000"),
                        Map.entry("prompt-jobs-dlq", "4 2592000000"),
                        Map.entry("prompt-webhooks", "6 604800000"),
                        Map.entry("penstock-settings", "1 -1"),
                        Map.entry("penstock-usage", "4 604800000")));
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
        assertThat(acls).anyMatch(acl -> acl.at("/resource/name").asText().equals("penstock-webhooks"));
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
}
