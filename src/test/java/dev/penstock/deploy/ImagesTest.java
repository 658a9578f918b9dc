package dev.penstock.deploy;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.settings.read.SettingsReader;
import dev.penstock.settings.source.PenstockConfig;
import dev.penstock.testkit.TestEnvironment;
import io.smallrye.config.SmallRyeConfig;
import io.smallrye.config.SmallRyeConfigBuilder;
import io.smallrye.config.source.yaml.YamlConfigSource;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Tests the content of the Dockerfiles and the compose file. docker/test-images.sh builds and runs them. */
class ImagesTest {
    private static final Path FOLDER = TestEnvironment.projectDir().resolve("docker");
    private static final String DIGEST = "@sha256:[0-9a-f]{64}";
    private static final Set<String> INSTRUCTIONS = Set.of(
            "FROM",
            "ARG",
            "LABEL",
            "WORKDIR",
            "RUN",
            "COPY",
            "VOLUME",
            "USER",
            "ENV",
            "EXPOSE",
            "HEALTHCHECK",
            "ENTRYPOINT");

    /** An instruction with its arguments, on one line. */
    private record Instruction(String name, String arguments) {}

    private static List<Instruction> instructions(String file) throws IOException {
        String text = Files.readString(FOLDER.resolve(file))
                .replaceAll("(?m)^#.*\n", "")
                .replaceAll("\\\\\n\\s*", "");
        return text.lines()
                .filter(line -> !line.isBlank())
                .map(line -> new Instruction(line.replaceFirst(" .*", ""), line.replaceFirst("^\\S+ ", "")))
                .toList();
    }

    @ParameterizedTest
    @ValueSource(strings = {"Dockerfile.jvm", "Dockerfile.native"})
    void a_dockerfile_builds_from_source_and_ends_without_root(String file) throws IOException {
        List<Instruction> all = instructions(file);
        List<Instruction> last = all.subList(lastFrom(all), all.size());

        assertThat(all).extracting(Instruction::name).isSubsetOf(INSTRUCTIONS);
        assertThat(all)
                .filteredOn(instruction -> instruction.name().equals("FROM"))
                .hasSize(2)
                .allSatisfy(from -> assertThat(from.arguments())
                        .matches("[a-z.]+/[a-z0-9/-]+:[a-z0-9.-]+" + DIGEST + "( AS build)?"));
        assertThat(arguments(last, "USER")).containsExactly("10001:10001");
        assertThat(arguments(last, "EXPOSE")).containsExactly("8080 9000");
        assertThat(arguments(last, "HEALTHCHECK"))
                .singleElement()
                .asString()
                .endsWith("CMD [\"/opt/penstock/healthy\"]");
        // not a shell, which would not pass SIGTERM on
        assertThat(arguments(last, "ENTRYPOINT")).singleElement().asString().startsWith("[");
        assertThat(arguments(last, "COPY")).anyMatch(copy -> copy.contains("penstock.cdx.json"));
        assertThat(String.join(" ", arguments(last, "LABEL")))
                .contains("image.title=", "image.licenses=", "image.version=", "image.revision=")
                .contains("image.base.name=\"" + last.getFirst().arguments().replaceFirst(DIGEST + "$", "") + "\"");
    }

    private static int lastFrom(List<Instruction> all) {
        int last = 0;
        for (int i = 0; i < all.size(); i++) {
            if (all.get(i).name().equals("FROM")) {
                last = i;
            }
        }
        return last;
    }

    private static List<String> arguments(List<Instruction> all, String name) {
        return all.stream()
                .filter(instruction -> instruction.name().equals(name))
                .map(Instruction::arguments)
                .toList();
    }

    @ParameterizedTest
    @ValueSource(strings = {"Dockerfile.jvm", "Dockerfile.native"})
    void what_is_copied_is_there_and_is_let_into_the_build(String file) throws IOException {
        List<String> ignore = Files.readAllLines(TestEnvironment.projectDir().resolve(".dockerignore"));

        assertThat(ignore).first().isEqualTo("**");
        for (String copy : arguments(instructions(file), "COPY")) {
            if (!copy.contains("--from=")) {
                String[] words = copy.replaceFirst("--chmod=\\d+ ", "").split(" ", -1);
                for (int i = 0; i < words.length - 1; i++) {
                    String source = words[i];
                    assertThat(TestEnvironment.projectDir().resolve(source)).exists();
                    assertThat(ignore).contains("!" + source);
                }
            }
        }
    }

    @Test
    void compose_has_a_profile_for_each_model_server_and_opens_nothing_to_the_network() throws IOException {
        JsonNode services = Manifest.YAML
                .readTree(Files.readString(FOLDER.resolve("compose.yaml")))
                .path("services");

        Set<String> profiles = new TreeSet<>();
        services.findValues("profiles").forEach(list -> list.forEach(profile -> profiles.add(profile.asText())));
        assertThat(profiles).containsExactly("llama-server", "ollama", "vllm");
        services.findValues("ports")
                .forEach(
                        ports -> ports.forEach(port -> assertThat(port.asText()).startsWith("127.0.0.1:")));
        assertThat(strings(services.findValues("image")))
                .noneMatch(image -> image.endsWith(":latest"))
                .allMatch(image -> image.equals("penstock:0.1.0") || image.matches("[a-z.]+/\\S+:\\S+" + DIGEST));
        JsonNode penstock = services.path("penstock");
        assertThat(penstock.path("read_only").asBoolean()).isTrue();
        assertThat(penstock.path("user").asText()).isEqualTo("10001:10001");
        assertThat(penstock.path("cap_drop").toString()).isEqualTo("[\"ALL\"]");
        assertThat(services.at("/kafka/environment/KAFKA_SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR")
                        .asInt())
                .isEqualTo(1);
        assertThat(services.at("/kafka/environment/KAFKA_SHARE_COORDINATOR_STATE_TOPIC_MIN_ISR")
                        .asInt())
                .isEqualTo(1);
    }

    @Test
    void compose_mounts_files_that_are_there_and_depends_on_services_that_are_there() throws IOException {
        JsonNode compose = Manifest.YAML.readTree(Files.readString(FOLDER.resolve("compose.yaml")));
        List<String> volumes = compose.path("volumes").properties().stream()
                .map(Map.Entry::getKey)
                .toList();
        Set<String> used = new TreeSet<>();

        for (JsonNode service : compose.path("services")) {
            for (JsonNode volume : service.path("volumes")) {
                String source = volume.asText().replaceFirst(":.*", "");
                if (source.startsWith(".")) {
                    assertThat(FOLDER.resolve(source).normalize()).exists();
                    assertThat(volume.asText()).endsWith(":ro");
                } else {
                    used.add(source);
                }
            }
            JsonNode dependencies = service.path("depends_on");
            List<String> names = dependencies.isArray()
                    ? strings(StreamSupport.stream(dependencies.spliterator(), false)
                            .toList())
                    : dependencies.properties().stream().map(Map.Entry::getKey).toList();
            assertThat(names).allMatch(compose.path("services")::has);
        }
        assertThat(volumes).containsExactlyInAnyOrderElementsOf(used);
    }

    @Test
    void the_service_accepts_the_configuration_of_compose_and_its_nodes_are_services() throws IOException {
        JsonNode services = Manifest.YAML
                .readTree(Files.readString(FOLDER.resolve("compose.yaml")))
                .path("services");
        SmallRyeConfig config = new SmallRyeConfigBuilder()
                .withMapping(PenstockConfig.class)
                .withSources(new YamlConfigSource(
                        "compose", Files.readString(FOLDER.resolve("compose").resolve("application.yaml")), 265))
                .addDefaultInterceptors()
                .addDiscoveredConverters()
                .build();

        var settings = SettingsReader.read(config.getConfigMapping(PenstockConfig.class), Map.of());

        assertThat(settings.nodes())
                .hasSize(3)
                .allMatch(node -> services.has(node.url().getHost()));
        assertThat(settings.ledger().kind().wireName()).isEqualTo("postgresql");
    }

    @Test
    void the_shell_scripts_are_executable() throws IOException {
        try (Stream<Path> files = Files.list(FOLDER)) {
            List<Path> scripts = new ArrayList<>();
            for (Path file : files.filter(Files::isRegularFile).toList()) {
                if (Files.readString(file).startsWith("#!")) {
                    scripts.add(file);
                }
            }
            assertThat(scripts).hasSize(2).allMatch(Files::isExecutable);
        }
    }

    private static List<String> strings(List<JsonNode> values) {
        return values.stream().map(JsonNode::asText).toList();
    }
}
