package dev.penstock.deploy;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.settings.NodeSettings;
import dev.penstock.settings.Settings;
import dev.penstock.settings.read.SettingsReader;
import dev.penstock.settings.source.PenstockConfig;
import io.smallrye.config.EnvConfigSource;
import io.smallrye.config.SmallRyeConfig;
import io.smallrye.config.SmallRyeConfigBuilder;
import io.smallrye.config.source.yaml.YamlConfigSource;
import java.io.IOException;
import java.lang.reflect.Method;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The chart gives the service only what the service accepts. */
class ChartConfigurationTest {
    /** Secrets hold these, so they are no values. */
    private static final Set<String> SECRETS =
            Set.of("nodes.*.api-key", "webhooks.*.secret", "ledger.username", "ledger.password");

    private static final String WEBHOOK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    /** The images contain no llama.cpp to start. */
    private static final Set<String> OF_PROGRAMS = Set.of(
            "nodes.*.command",
            "nodes.*.model-path",
            "nodes.*.ctx-size",
            "nodes.*.batch-size",
            "nodes.*.ubatch-size",
            "nodes.*.gpu-layers",
            "nodes.*.mmproj",
            "nodes.*.arguments[]",
            // set by extraEnv: PENSTOCK_NODES_UNKNOWN_FOR
            "nodes.unknown-for",
            "unknown-for");

    static Stream<Path> ciValues() {
        return Chart.ciValues().stream();
    }

    @ParameterizedTest
    @MethodSource("ciValues")
    void the_service_accepts_the_file_and_the_variables(Path values) {
        List<Manifest> manifests = Chart.render(values);

        for (Manifest workload :
                manifests.stream().filter(manifest -> manifest.is("Deployment")).toList()) {
            PenstockConfig config = read(manifests, workload);
            Settings settings = SettingsReader.read(config, Map.of());

            assertThat(config.auth().mode()).hasValue("none");
            assertThat(settings.nodes()).isNotEmpty();
            assertThat(settings.intake().enabled()).isEqualTo(!workload.name().endsWith("-api"));
        }
    }

    @Test
    void keys_and_passwords_come_from_the_secrets() {
        List<Manifest> manifests = Chart.render(Chart.ciValues("production"));

        PenstockConfig config = read(
                manifests,
                manifests.stream()
                        .filter(manifest -> manifest.is("Deployment"))
                        .findFirst()
                        .orElseThrow());
        Map<String, String> keys = new HashMap<>();
        for (NodeSettings node : SettingsReader.read(config, Map.of()).nodes()) {
            keys.put(node.name(), String.valueOf(node.apiKey()));
        }

        assertThat(keys).isEqualTo(Map.of("gpu-a", "vllm/api-key", "cloud", "openai/api-key", "gpu-b", "null"));
        assertThat(config.webhooks())
                .hasEntrySatisfying(
                        "orders", webhook -> assertThat(webhook.secret()).isEqualTo(WEBHOOK_SECRET));
        assertThat(config.ledger().username()).hasValue("penstock-db/username");
        assertThat(config.ledger().password()).hasValue("penstock-db/password");
        assertThat(config.nodes())
                .hasEntrySatisfying("gpu-b", node -> assertThat(node.headers()).containsEntry("X-Team", "llm"));
    }

    /** Reads like the service's configuration: the file, with the container's variables over it. */
    private static PenstockConfig read(List<Manifest> manifests, Manifest workload) {
        String file = manifests.stream()
                .filter(manifest -> manifest.is("ConfigMap")
                        && manifest.json().at("/data/application.yaml").isTextual())
                .map(manifest ->
                        manifest.json().at("/data").path("application.yaml").asText())
                .findFirst()
                .orElseThrow();
        SmallRyeConfig config = new SmallRyeConfigBuilder()
                .withMapping(PenstockConfig.class)
                .withSources(new YamlConfigSource("application.yaml", file, 265))
                .withSources(new EnvConfigSource(variables(workload), 300))
                .addDefaultInterceptors()
                .addDiscoveredConverters()
                .build();
        return config.getConfigMapping(PenstockConfig.class);
    }

    /** A value from a Secret is {@code secret/key}, except for the secret of a webhook. */
    private static Map<String, String> variables(Manifest workload) {
        Map<String, String> variables = new HashMap<>();
        for (JsonNode variable :
                workload.podTemplate().path("spec").path("containers").path(0).path("env")) {
            JsonNode reference = variable.path("valueFrom").path("secretKeyRef");
            variables.put(
                    variable.path("name").asText(),
                    reference.path("name").asText().equals("hooks")
                            ? WEBHOOK_SECRET
                            : reference.isObject()
                                    ? reference.path("name").asText() + "/"
                                            + reference.path("key").asText()
                                    : variable.path("value").asText());
        }
        return variables;
    }

    @ParameterizedTest
    @MethodSource("ciValues")
    void every_kafka_variable_is_a_property_of_its_clients(Path values) {
        Set<String> known = new TreeSet<>(ConsumerConfig.configNames());

        Chart.render(values).stream()
                .filter(manifest -> manifest.is("Deployment"))
                .flatMap(workload -> variables(workload).keySet().stream())
                .filter(variable -> variable.startsWith("KAFKA_"))
                .map(variable -> variable.substring(6).toLowerCase(Locale.ROOT).replace('_', '.'))
                .forEach(property -> assertThat(known).contains(property));
    }

    @Test
    void every_key_of_the_service_is_a_value_and_every_value_is_a_key() throws IOException {
        JsonNode schema = Manifest.YAML.readTree(Files.readString(Chart.FOLDER.resolve("values.schema.json")));
        Set<String> values = new TreeSet<>();
        valuesOf(schema.at("/properties/penstock"), "", values);
        Set<String> keys = new TreeSet<>();
        keysOf(PenstockConfig.class, "", keys);
        keys.removeAll(SECRETS);
        // the service reads the fields of a rule itself
        keys.add("routes[]");
        keys.removeAll(OF_PROGRAMS);

        assertThat(values).isEqualTo(keys);
    }

    private static void valuesOf(JsonNode schema, String at, Set<String> values) {
        if (schema.has("items")) {
            valuesOf(schema.path("items"), at + "[]", values);
        } else if (schema.path("additionalProperties").isObject()) {
            valuesOf(schema.path("additionalProperties"), at + ".*", values);
        } else if (schema.has("properties") && !at.equals(".profiles.*")) {
            schema.path("properties")
                    .properties()
                    .forEach(property -> valuesOf(property.getValue(), at + "." + property.getKey(), values));
        } else {
            // a profile's properties are the backends; the service allows any name
            values.add(at.equals(".profiles.*") ? "profiles.*.*" : at.substring(1));
        }
    }

    private static void keysOf(Type type, String at, Set<String> keys) {
        if (type instanceof ParameterizedType generic) {
            Type element = generic.getActualTypeArguments()[generic.getActualTypeArguments().length - 1];
            String below = generic.getRawType() == Map.class
                    ? ".*"
                    : List.of(List.class, Set.class).contains(generic.getRawType()) ? "[]" : "";
            assertThat(List.of(Map.class, List.class, Set.class, Optional.class))
                    .contains((Class<?>) generic.getRawType());
            keysOf(element, at + below, keys);
        } else if (type instanceof Class<?> mapping && mapping.getName().startsWith("dev.penstock")) {
            for (Method method : mapping.getMethods()) {
                String name = method.getName().replaceAll("([A-Z])", "-$1").toLowerCase(Locale.ROOT);
                // a keyword of Java is no name of a method
                name = name.equals("continuing") ? "continue" : name;
                keysOf(method.getGenericReturnType(), at + "." + name, keys);
            }
        } else {
            keys.add(at.substring(1));
        }
    }
}
