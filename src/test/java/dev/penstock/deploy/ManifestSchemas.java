package dev.penstock.deploy;

import com.fasterxml.jackson.databind.JsonNode;
import com.networknt.schema.JsonSchema;
import com.networknt.schema.JsonSchemaFactory;
import com.networknt.schema.SpecVersion;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Checks a document as strictly as the cluster would. An unknown kind is a mistake. */
final class ManifestSchemas {
    /** The kinds of Kubernetes itself, each with the class that describes it. */
    private static final Map<String, String> MODELS = Map.ofEntries(
            Map.entry("v1 ConfigMap", "V1ConfigMap"),
            Map.entry("v1 Namespace", "V1Namespace"),
            Map.entry("v1 PersistentVolumeClaim", "V1PersistentVolumeClaim"),
            Map.entry("v1 Pod", "V1Pod"),
            Map.entry("v1 Service", "V1Service"),
            Map.entry("v1 ServiceAccount", "V1ServiceAccount"),
            Map.entry("apps/v1 Deployment", "V1Deployment"),
            Map.entry("autoscaling/v2 HorizontalPodAutoscaler", "V2HorizontalPodAutoscaler"),
            Map.entry("batch/v1 Job", "V1Job"),
            Map.entry("networking.k8s.io/v1 Ingress", "V1Ingress"),
            Map.entry("networking.k8s.io/v1 NetworkPolicy", "V1NetworkPolicy"),
            Map.entry("policy/v1 PodDisruptionBudget", "V1PodDisruptionBudget"));

    /** The kinds of operators, each with a schema under {@code schemas/}. */
    private static final Map<String, String> CUSTOM = Map.of(
            "gateway.networking.k8s.io/v1 HTTPRoute", "HTTPRoute",
            "kafka.strimzi.io/v1 Kafka", "Kafka",
            "kafka.strimzi.io/v1 KafkaNodePool", "KafkaNodePool",
            "kafka.strimzi.io/v1 KafkaTopic", "KafkaTopic",
            "kafka.strimzi.io/v1 KafkaUser", "KafkaUser",
            "keda.sh/v1alpha1 ScaledObject", "ScaledObject",
            "keda.sh/v1alpha1 TriggerAuthentication", "TriggerAuthentication",
            "monitoring.coreos.com/v1 PrometheusRule", "PrometheusRule",
            "monitoring.coreos.com/v1 ServiceMonitor", "ServiceMonitor");

    private final Map<String, JsonSchema> read = new HashMap<>();

    /** Returns what is wrong with the document. */
    List<String> mistakes(Manifest manifest) {
        List<String> mistakes = new ArrayList<>();
        String kind = manifest.apiVersion() + " " + manifest.kind();
        String model = MODELS.get(kind);
        String schema = CUSTOM.get(kind);
        if (model != null) {
            KubernetesModel.check(model, manifest.json(), mistakes);
        } else if (schema != null) {
            KubernetesModel.check("V1ObjectMeta", manifest.json().path("metadata"), mistakes);
            read.computeIfAbsent(schema, ManifestSchemas::read)
                    .validate(manifest.json())
                    .forEach(message -> mistakes.add(message.toString()));
        } else {
            mistakes.add("there is no schema for " + kind);
        }
        if (!manifest.name().matches("[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?")) {
            mistakes.add("metadata.name: '%s' is no name".formatted(manifest.name()));
        }
        manifest.labels().forEach((label, value) -> {
            if (!value.matches("([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")) {
                mistakes.add("metadata.labels.%s: '%s' is no label".formatted(label, value));
            }
        });
        return mistakes;
    }

    private static JsonSchema read(String kind) {
        String path = "/schemas/" + kind + ".json";
        try (InputStream file = ManifestSchemas.class.getResourceAsStream(path)) {
            if (file == null) {
                throw new IllegalStateException("there is no " + path);
            }
            JsonNode schema = Manifest.YAML.readTree(file);
            return JsonSchemaFactory.getInstance(SpecVersion.VersionFlag.V7).getSchema(schema);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
