package dev.penstock.settings.start;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.settings.NodeSettings;
import dev.penstock.settings.read.TestSettings;
import dev.penstock.settings.source.KnownVariables;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.logging.Level;
import java.util.logging.LogRecord;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class StartCheckTest {
    private static final Map<String, String> KAFKA = Map.of("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9092");

    @TempDir
    private Path folder;

    @Test
    void nothing_is_wrong_with_nothing() {
        assertThat(mistakes(KAFKA)).isEmpty();
    }

    @Test
    void every_mistake_is_listed_at_once_each_by_its_key() throws IOException {
        file("""
                penstock:
                  nodes:
                    a: {backend: vllm}
                    b: {url: "http://b:8000"}
                    c: {backend: vlm, url: "http://c:8000"}
                  intake: {slots: many, lowshare: 0.2, topics: [{priority: normal}]}
                  timeouts: {idle: soon}
                  drain: {timeout: 10s}
                  kafka: {create-topics: maybe}
                kafka:
                  security.protocol: SSLL
                  request.timeout.ms: long
                quarkus:
                  management: {port: abc}
                """);

        List<String> mistakes = mistakes(Map.of("KAFKA_BOOTSTRAP_SERVERS", "kafka"));

        assertThat(mistakes)
                .contains(
                        "penstock.nodes.a.url: is missing",
                        "penstock.nodes.b.backend: is missing",
                        "penstock.intake.slots: 'many': expected an integer",
                        "penstock.timeouts.idle: 'soon': expected a duration, such as 30s, 5m or PT10M",
                        "penstock.kafka.create-topics: 'maybe': expected true or false",
                        "penstock.intake.topics[0].name: is missing",
                        "quarkus.management.port: 'abc': expected a port, a number from 0 to 65535",
                        "kafka.bootstrap.servers: 'kafka' is not an address: expected host:port, such as localhost:9092")
                .anyMatch(line -> line.startsWith("penstock.nodes.c.backend: 'vlm' is none of"))
                .anyMatch(line -> line.startsWith(
                        "penstock.intake.lowshare: there is no such key. Did you mean penstock.intake.low-share?"))
                .anyMatch(line -> line.startsWith("kafka.request.timeout.ms: 'long'"))
                .anyMatch(line -> line.startsWith("kafka.security.protocol: 'SSLL'"))
                .doesNotHaveDuplicates()
                .allSatisfy(line -> assertThat(line).doesNotContain("SRCFG", "Exception", "java.", "\n"));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', textBlock = """
            `penstock:\n  intake: [\n`        | config/application.yaml, line 3, column 1:
            `penstock:\n\tintake: 1\n`        | config/application.yaml, line 2, column 1: while scanning for the next token
            `penstock: {a: 1}\npenstock: {}`  | config/application.yaml, line 2, column 1:
            `- a\n- b\n`                      | config/application.yaml: expected keys with values
            `penstock:\n  a: 1\n b: 2\n`      | config/application.yaml, line 3, column 2:
            """)
    void a_file_that_is_not_yaml_has_its_line_and_column(String text, String words) throws IOException {
        file(text);

        assertThat(mistakes(KAFKA)).singleElement().asString().contains(words).doesNotContain("org.yaml", "\n");
    }

    @Test
    void a_file_that_is_named_has_to_be_there() {
        Map<String, String> environment = new HashMap<>(KAFKA);
        environment.put("QUARKUS_CONFIG_LOCATIONS", "gone.yaml");

        assertThat(mistakes(environment))
                .containsExactly("QUARKUS_CONFIG_LOCATIONS: there is no file gone.yaml. Create it, or name another");
    }

    @Test
    void a_variable_of_the_environment_is_checked_as_a_key_is() {
        Map<String, String> environment = new HashMap<>(KAFKA);
        environment.put("PENSTOCK_INTAKE_SLOTS", "many");
        environment.put("PENSTOCK_PORT", "tcp://10.0.0.1:8080");

        assertThat(mistakes(environment)).containsExactly("penstock.intake.slots: 'many': expected an integer");
    }

    @Test
    void a_variable_that_is_not_set_is_named_with_its_key() throws IOException {
        file("penstock:\n  nodes:\n    a: {url: \"http://a:1\", backend: \"${NO_SUCH_VARIABLE}\"}\n");

        assertThat(mistakes(KAFKA))
                .containsExactly(
                        "penstock.nodes.a.backend: the variable NO_SUCH_VARIABLE is not set. Set it, or write ${NO_SUCH_VARIABLE:} for none");
    }

    @Test
    void a_port_in_use_is_named_with_its_key_and_the_way_out() throws IOException {
        try (ServerSocket taken = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            int port = taken.getLocalPort();
            file("quarkus:\n  http:\n    port: " + port + "\n");

            assertThat(mistakes(KAFKA))
                    .singleElement()
                    .asString()
                    .startsWith("quarkus.http.port: port %d of 127.0.0.1 is in use by another program.".formatted(port))
                    .contains("QUARKUS_HTTP_PORT=");
        }
    }

    @Test
    void a_host_of_kafka_that_is_not_known_is_named() {
        assertThat(mistakes(Map.of("KAFKA_BOOTSTRAP_SERVERS", "nosuch.invalid:9092")))
                .containsExactly(
                        "kafka.bootstrap.servers: the host name nosuch.invalid is not known. Correct it: KAFKA_BOOTSTRAP_SERVERS=host:port");
    }

    @Test
    void what_only_a_client_can_find_is_found_before_the_start() {
        Map<String, String> environment = new HashMap<>(KAFKA);
        environment.put("KAFKA_SECURITY_PROTOCOL", "SSL");
        environment.put("KAFKA_SSL_TRUSTSTORE_LOCATION", "/nosuch/trust.p12");

        assertThat(mistakes(environment))
                .singleElement()
                .asString()
                .startsWith("kafka.ssl.truststore.location: ")
                .contains("/nosuch/trust.p12")
                .doesNotContain("Exception");
    }

    @ParameterizedTest
    @CsvSource({
        "PENSTOCK_INTAKE_SLOT, PENSTOCK_INTAKE_SLOTS",
        "PENSTOCK_NODES_GPU_A_URLL, PENSTOCK_NODES_GPU_A_URL",
        "PENSTOCK_NODE_GPU_URL, PENSTOCK_",
        "PENSTOCK_NODES_GPU_MAX_INFLIGHT, PENSTOCK_NODES_GPU_MAX_IN_FLIGHT",
        "PENSTOCK_GROUP_PREFIX, PENSTOCK_GROUPS_PREFIX",
        "PENSTOCK_TOPICS_JOB, PENSTOCK_TOPICS_JOBS",
        "penstock_ledger_kinds, PENSTOCK_LEDGER_KIND"
    })
    void a_variable_without_effect_is_reported_with_the_nearest(String variable, String nearest) {
        assertThat(new KnownVariables(Map.of(variable, "1"), List.of()).unknown())
                .singleElement()
                .asString()
                .startsWith("the variable %s has no effect: ".formatted(variable))
                .contains("Did you mean " + nearest);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "PENSTOCK_INTAKE_SLOTS=8",
                "PENSTOCK_NODES_GPU_A_URL=http://a",
                "PENSTOCK_NODES_GPU_TIMEOUTS_FIRST_TOKEN=1s",
                "PENSTOCK_NODES_GPU_EXTRA_BODY_SOMETHING_OF_ITS_OWN=1",
                "PENSTOCK_NODES_GPU_HEADERS_X_TEAM=a",
                "PENSTOCK_NODES_UNKNOWN_FOR=1m",
                "PENSTOCK_PARAMETERS_TOP_K=1",
                "PENSTOCK_PROFILES_FAST_VLLM=m",
                "PENSTOCK_INTAKE_TOPICS_0__NAME=jobs",
                "PENSTOCK_JOBS_ALLOWED_FIELDS=lora",
                "PENSTOCK_GROUPS_PREFIX=acme.",
                "PENSTOCK_AUTH_MODE=none",
                "PENSTOCK_URL=http://a",
                "PENSTOCK_API_KEY=a",
                "PENSTOCK_EXECUTABLE=/opt/penstock",
                "PENSTOCK_PORT=tcp://10.0.0.1:8080",
                "PENSTOCK_PORT_8080_TCP=tcp://10.0.0.1:8080",
                "PENSTOCK_PORT_8080_TCP_ADDR=10.0.0.1",
                "PENSTOCK_PORT_8080_TCP_PROTO=tcp",
                "PENSTOCK_SERVICE_HOST=10.0.0.1",
                "PENSTOCK_SERVICE_PORT=8080",
                "PENSTOCK_SERVICE_PORT_HTTP=8080",
                "PENSTOCK_METRICS_SERVICE_HOST=10.0.0.1",
                "PENSTOCK_METRICS_PORT=tcp://10.0.0.1:9000",
                "PENSTOCK_METRICS_PORT_9000_TCP_PORT=9000",
                "HOME=/root"
            })
    void a_variable_that_is_read_or_for_others_is_not(String variable) {
        String[] parts = variable.split("=", 2);
        List<NodeSettings> nodes = TestSettings.ofFile(Map.of(
                        "penstock.nodes.gpu-a.backend", "vllm",
                        "penstock.nodes.gpu-a.url", "http://a"))
                .nodes();

        assertThat(new KnownVariables(Map.of(parts[0], parts[1]), nodes).unknown())
                .isEmpty();
    }

    @Test
    void a_variable_of_a_node_that_nothing_configures_is_reported() {
        assertThat(new KnownVariables(Map.of("PENSTOCK_NODES_GPU_A_URL", "http://a"), List.of()).unknown())
                .singleElement()
                .asString()
                .contains("PENSTOCK_NODES_GPU_A_URL has no effect: no file configures a node of that name");
        assertThat(new KnownVariables(Map.of("PENSTOCK_NODES_GPU_URL", "http://a"), List.of()).unknown())
                .isEmpty();
    }

    @Test
    void a_variable_of_a_later_version_is_reported() {
        assertThat(new KnownVariables(Map.of("PENSTOCK_ROUTES_0__NAME", "a", "PENSTOCK_PORT", "8080"), List.of())
                        .unknown())
                .containsExactly(
                        "the variable PENSTOCK_PORT has no effect: no key of Penstock has this name. Did you mean QUARKUS_HTTP_PORT?",
                        "the variable PENSTOCK_ROUTES_0__NAME has no effect: the routing rules come from a file or an argument");
    }

    @Test
    void a_key_that_kafkas_clients_do_not_have_is_reported_with_the_nearest() throws IOException {
        file("""
                kafka:
                  security.protocl: SSL
                  request.timeout.ms: 20000
                  some.thing.of.an.own.plugin: x
                """);
        Map<String, String> environment = Map.of(
                "KAFKA_BOOTSTRAP_SERVER", "127.0.0.1:9092",
                "KAFKA_HOME", "/opt/kafka",
                "KAFKA_OPTS", "-Xmx1g",
                "KAFKA_PORT", "tcp://10.0.0.1:9092",
                "KAFKA_CLIENT_ID", "a");

        StartCheck.Found found = new StartCheck(environment, Map.of(), folder).find();

        assertThat(found.mistakes()).isEmpty();
        assertThat(found.warnings())
                .contains(
                        "the variable KAFKA_BOOTSTRAP_SERVER has no effect: Kafka's clients have no such key. Did you mean KAFKA_BOOTSTRAP_SERVERS?",
                        "kafka.security.protocl: Kafka's clients have no such key. Did you mean kafka.security.protocol?")
                .anyMatch(line -> line.startsWith("kafka.some.thing.of.an.own.plugin: "))
                .hasSize(3);
    }

    @Test
    void what_is_found_has_defaults_where_the_file_cannot_be_read() throws IOException {
        file("penstock:\n  intake: [\n");

        StartCheck.Found found =
                new StartCheck(Map.of("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:19"), Map.of(), folder).find();

        assertThat(found.mistakes()).singleElement().asString().contains("line 3");
        assertThat(found.kafka()).containsEntry("bootstrap.servers", "127.0.0.1:19");
        assertThat(found.settings().intake().topics()).hasSize(3);
        assertThat(found.managementPort()).isEqualTo(9000);
    }

    @Test
    void a_start_that_a_value_ends_is_reported_without_a_stack() {
        Throwable failure = new RuntimeException(
                "Failed to start quarkus",
                new IllegalArgumentException("Invalid endpoint, must start with http:// or https://: notaurl"));
        List<String> shown = new ArrayList<>();
        LogRecord line = new LogRecord(Level.SEVERE, "Failed to start application");
        line.setThrown(failure);

        assertThat(new StartFailure(shown::add).isLoggable(line)).isFalse();
        assertThat(shown)
                .singleElement()
                .asString()
                .isEqualTo(
                        "the configuration has 1 mistake:\n  - Invalid endpoint, must start with http:// or https://: notaurl");
        LogRecord ours = new LogRecord(Level.SEVERE, "Failed to start application");
        ours.setThrown(new RuntimeException("Failed to start quarkus", new IllegalStateException("a bug")));
        assertThat(new StartFailure(shown::add).isLoggable(ours))
                .as("where it failed is worth knowing")
                .isTrue();
    }

    private void file(String text) throws IOException {
        Files.writeString(Files.createDirectories(folder.resolve("config")).resolve("application.yaml"), text);
    }

    private List<String> mistakes(Map<String, String> environment) {
        // free ports, unless the test sets them
        Map<String, String> all = new HashMap<>(Map.of("QUARKUS_HTTP_PORT", "0", "QUARKUS_MANAGEMENT_PORT", "0"));
        if (Files.exists(folder.resolve("config/application.yaml"))) {
            try {
                String text = Files.readString(folder.resolve("config/application.yaml"));
                if (text.contains("http:\n")) {
                    all.remove("QUARKUS_HTTP_PORT");
                }
                if (text.contains("management:")) {
                    all.remove("QUARKUS_MANAGEMENT_PORT");
                }
            } catch (IOException e) {
                throw new java.io.UncheckedIOException(e);
            }
        }
        all.putAll(environment);
        return new StartCheck(all, Map.of(), folder).mistakes();
    }
}
