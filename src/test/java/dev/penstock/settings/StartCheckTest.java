package dev.penstock.settings;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

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

    private void file(String text) throws IOException {
        Files.writeString(Files.createDirectories(folder.resolve("config")).resolve("application.yaml"), text);
    }

    private List<String> mistakes(Map<String, String> environment) {
        // ports that a test does not name are any
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
