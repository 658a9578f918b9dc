package dev.penstock.settings.read;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.settings.Backend;
import dev.penstock.settings.NodeSettings;
import dev.penstock.settings.Secrets;
import dev.penstock.wire.Json;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class AddedNodeTest {
    @Test
    void it_has_the_keys_and_the_defaults_of_a_node_of_the_file() {
        AddedNode read = read("""
                {"backend": "ollama", "url": "http://cpu:11434/v1/", "max-in-flight": 3, "pull": "missing",
                 "headers": {"X-Team.Name": "a, b"}}""");

        assertThat(read)
                .isEqualTo(new AddedNode.Fit(
                        new NodeSettings(
                                "cpu.b",
                                Backend.OLLAMA,
                                URI.create("http://cpu:11434"),
                                "cpu",
                                OptionalInt.of(3),
                                null,
                                null,
                                Map.of("X-Team.Name", "a, b"),
                                NodeSettings.Requests.PLAIN,
                                true),
                        List.of()));
    }

    @Test
    void every_mistake_is_named_by_its_key() {
        assertThat(mistakes("""
                {"backend": "vlm", "url": "nowhere", "max-in-flight": 0, "pull": "always"}"""))
                .containsExactlyInAnyOrder(
                        "penstock.nodes.cpu.b.backend: 'vlm' is none of " + Backend.all(),
                        "penstock.nodes.cpu.b.url: 'nowhere' is no http:// or https:// address without user, password and query",
                        "penstock.nodes.cpu.b.max-in-flight: must be at least 1",
                        "penstock.nodes.cpu.b.pull: 'always' is none of missing, never");
        assertThat(mistakes("{\"max_in_flight\": 1}"))
                .hasSize(3)
                .anyMatch(mistake -> mistake.endsWith("backend: is missing"))
                .anyMatch(mistake -> mistake.endsWith("url: is missing"))
                .anyMatch(mistake -> mistake.endsWith("max_in_flight: there is no such key"));
        assertThat(mistakes("{\"backend\": \"vllm\", \"url\": \"http://a\", \"pull\": \"missing\"}"))
                .singleElement()
                .asString()
                .startsWith("penstock.nodes.cpu.b.pull: vllm fetches no models");
        assertThat(mistakes("{\"backend\": \"vllm\", \"url\": \"http://a\", \"max-in-flight\": \"many\"}"))
                .singleElement()
                .asString()
                .contains("max-in-flight", "many");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            "api-key": "sk-secret"                        | api-key: is given by reference only
            "api-key": "env:"                             | api-key: is given by reference only
            "api-key": "file:/a\\u0000b"                   | api-key: is given by reference only
            "headers": {"Authorization": "Bearer secret"} | headers.Authorization: a secret is given by reference
            "headers": {"X-API-Key": "secret"}            | headers.X-API-Key: a secret is given by reference
            "backend": "llama-cli"                        | backend: a node that starts a process
            "command": "llama-server"                     | command: a node that starts a process
            "model-path": "/models/a.gguf"                | model-path: a node that starts a process
            """)
    void secrets_and_processes_come_from_the_file_only(String field, String mistake) {
        assertThat(mistakes("{\"url\": \"http://a\", %s%s}"
                        .formatted(field.contains("backend") ? "" : "\"backend\": \"vllm\", ", field)))
                .anySatisfy(told -> assertThat(told).contains(mistake).doesNotContain("secret\""))
                .noneSatisfy(told -> assertThat(told).contains("sk-secret"));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            "Connection": "close"              | headers.Connection: belongs to the connection
            "keep-alive": "timeout=5"          | headers.keep-alive: belongs to the connection
            "TE": "trailers"                   | headers.TE: belongs to the connection
            "Trailer": "X"                     | headers.Trailer: belongs to the connection
            "Transfer-Encoding": "chunked"     | headers.Transfer-Encoding: belongs to the connection
            "Upgrade": "h2c"                   | headers.Upgrade: belongs to the connection
            "Proxy-Connection": "x"            | headers.Proxy-Connection: belongs to the connection
            "Host": "inside"                   | headers.Host: belongs to the connection
            "Content-Length": "0"              | headers.Content-Length: belongs to the connection
            "Expect": "100-continue"           | headers.Expect: belongs to the connection
            "X Y": "a"                         | headers.X Y: is no name of a header
            "X:Y": "a"                         | headers.X:Y: is no name of a header
            "X\\r\\nA": "a"                    | headers.X??A: is no name of a header
            "Ä": "a"                           | headers.?: is no name of a header
            "": "a"                            | headers.: is no name of a header
            "X-A": "a\\r\\nX-B: b"             | headers.X-A: has a value that no header can have
            "X-A": "a\\u0000"                  | headers.X-A: has a value that no header can have
            "X-A": "a\\u007f"                  | headers.X-A: has a value that no header can have
            "X-A": "\\u20ac"                   | headers.X-A: has a value that no header can have
            """)
    void a_header_is_one_by_rfc_9110_and_none_of_the_connection(String header, String mistake) {
        assertThat(mistakes("{\"backend\": \"vllm\", \"url\": \"http://a\", \"headers\": {%s}}".formatted(header)))
                .singleElement()
                .asString()
                .startsWith("penstock.nodes.cpu.b." + mistake)
                .doesNotContain("\n", "\r");
        assertThat(
                        read(
                                "{\"backend\": \"vllm\", \"url\": \"http://a\", \"headers\": {\"X-!#$%&'*+-.^_`|~\": \"caf\u00e9 \\t ~\"}}"))
                .isInstanceOf(AddedNode.Fit.class);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            "adaptive": "maybe"        | adaptive: expected true or false
            "adaptive": 7              | adaptive: expected true or false
            "adaptive": []             | adaptive: expected a value
            "requests-per-minute": []  | requests-per-minute: expected a value
            "tokens-per-minute": {}    | tokens-per-minute: expected a value
            "weight": {}               | weight: expected a value
            """)
    void a_value_of_another_shape_is_a_mistake(String field, String mistake) {
        assertThat(mistakes("{\"backend\": \"vllm\", \"url\": \"http://a\", %s}".formatted(field)))
                .containsExactly("penstock.nodes.cpu.b." + mistake);
    }

    @ParameterizedTest
    @CsvSource({".", "..", "'a b'", "''", "a/b"})
    void a_name_is_a_segment_of_a_path(String name) {
        JsonNode json = Objects.requireNonNull(Json.parseLenient("{\"backend\": \"vllm\", \"url\": \"http://a\"}"));

        assertThat(AddedNode.read(name, json, AddedNode.Keys.NONE))
                .isEqualTo(new AddedNode.Unfit(List.of(
                        "name: a node's name has 1 to 64 characters of A-Z a-z 0-9 . _ -, and is neither . nor ..")));
    }

    @Test
    void a_node_that_would_start_a_process_has_no_other_mistake() {
        assertThat(mistakes("{\"backend\": \"llama-cli\", \"model-path\": \"/models\", \"arguments\": [\"--x\"]}"))
                .containsExactlyInAnyOrder(
                        "penstock.nodes.cpu.b.backend: a node that starts a process comes from the configuration only",
                        "penstock.nodes.cpu.b.model-path: a node that starts a process comes from the configuration only",
                        "penstock.nodes.cpu.b.arguments: a node that starts a process comes from the configuration only");
    }

    @Test
    void a_key_is_looked_up_where_the_document_says(@TempDir Path folder) throws IOException {
        Path file = Files.writeString(folder.resolve("key"), "sk-file\n");
        Secrets secrets = new Secrets("PENSTOCK_SECRET_", Optional.of(folder), Map.of());

        assertThat(key(secrets, "env:PENSTOCK_SECRET_A")).isEqualTo("sk-env");
        assertThat(key(secrets, "file:" + file)).isEqualTo("sk-file");
    }

    /** One message for all reasons: another message would reveal what exists on this machine. */
    @Test
    void a_reference_that_leads_to_no_key_is_refused_with_the_same_words_whatever_the_reason(@TempDir Path top)
            throws IOException {
        Path folder = Files.createDirectory(top.resolve("secrets"));
        Files.writeString(top.resolve("outside"), "sk-outside");
        Files.writeString(folder.resolve("lines"), "sk-1\nsk-2");
        Files.writeString(folder.resolve("empty"), " \n");
        Files.write(folder.resolve("binary"), new byte[] {(byte) 0xff, (byte) 0xfe});
        Files.writeString(folder.resolve("large"), "x".repeat(20_000));
        Files.writeString(Files.createDirectory(folder.resolve("sub")).resolve("key"), "sk-below");
        Files.createSymbolicLink(folder.resolve("link"), top.resolve("outside"));
        Files.createSymbolicLink(folder.resolve("links"), top);
        Files.writeString(folder.resolve("key"), "sk-file");
        Secrets secrets = new Secrets("PENSTOCK_SECRET_", Optional.of(folder), Map.of());
        Set<String> words = new HashSet<>();
        for (String reference : List.of(
                "env:NOT_HERE",
                "env:OTHER_KEY",
                "env:KAFKA_SASL_JAAS_CONFIG",
                "env:PENSTOCK_SECRET_",
                "env:PENSTOCK_SECRET_NOT_HERE",
                "env:PENSTOCK_SECRET_LINES",
                "env:penstock_secret_A",
                "file:/etc/passwd",
                "file:/dev/zero",
                "file:" + folder,
                "file:" + folder + "/not-here",
                "file:" + folder + "/lines",
                "file:" + folder + "/empty",
                "file:" + folder + "/binary",
                "file:" + folder + "/large",
                "file:" + folder + "/link",
                "file:" + folder + "/links/outside",
                "file:" + folder + "/sub/key",
                "file:" + folder + "/../outside",
                "file:" + folder + "/../secrets/key",
                "file:" + folder + "/./key",
                "file:" + folder + "//key",
                "file:" + folder + "/key/",
                "file:/" + folder + "/key")) {
            AddedNode read = read(document(reference), keys(secrets, Map.of()));

            assertThat(read).as(reference).isInstanceOfSatisfying(AddedNode.Fit.class, fit -> {
                assertThat(fit.node().apiKey()).as(reference).isNull();
                assertThat(fit.lacking()).as(reference).hasSize(1);
                words.addAll(fit.lacking());
            });
        }

        assertThat(words).singleElement().asString().contains("PENSTOCK_SECRET_", "penstock.auth.secret-dir");
        assertThat(key(secrets, "file:" + folder + "/key")).isEqualTo("sk-file");
        assertThat(read(document("file:" + folder + "/key"), keys(Secrets.DEFAULTS, Map.of())))
                .isInstanceOfSatisfying(
                        AddedNode.Fit.class,
                        fit -> assertThat(fit.node().apiKey()).isNull());
    }

    @ParameterizedTest
    @CsvSource({
        "http://a:80, http://a, true",
        "http://a/v1, http://A:80/other, true",
        "http://a, https://a, false",
        "http://a, http://a:81, false",
        "http://a, http://b, false",
        "http://localhost:80, http://127.0.0.1:80, false"
    })
    void a_reference_belongs_to_the_place_that_it_was_first_used_for(String first, String next, boolean found) {
        Map<String, String> bound = Map.of("env:PENSTOCK_SECRET_A", Secrets.place(URI.create(first)));

        AddedNode read =
                read(document("env:PENSTOCK_SECRET_A").replace("http://a", next), keys(Secrets.DEFAULTS, bound));

        assertThat(read)
                .isInstanceOfSatisfying(
                        AddedNode.Fit.class,
                        fit -> assertThat(fit.node().apiKey()).isEqualTo(found ? "sk-env" : null));
    }

    @ParameterizedTest
    @CsvSource({
        "http://a, true",
        "https://a:8443, true",
        "http://b:9, true",
        "http://b, false",
        "http://evil, false",
        "http://a.evil, false"
    })
    void the_configuration_says_where_a_key_may_go(String url, boolean found) {
        Secrets secrets =
                new Secrets("PENSTOCK_SECRET_", Optional.empty(), Map.of("PENSTOCK_SECRET_A", Set.of("a", "b:9")));
        Map<String, String> bound = Map.of("env:PENSTOCK_SECRET_A", "http://evil:80");

        AddedNode read = read(document("env:PENSTOCK_SECRET_A").replace("http://a", url), keys(secrets, bound));

        assertThat(read)
                .isInstanceOfSatisfying(
                        AddedNode.Fit.class,
                        fit -> assertThat(fit.node().apiKey()).isEqualTo(found ? "sk-env" : null));
    }

    @Test
    void nothing_else_is_looked_up() {
        AddedNode read = read("{\"backend\": \"vllm\", \"url\": \"http://a\", \"model\": \"${PENSTOCK_SECRET_A}\"}");

        assertThat(read)
                .isInstanceOfSatisfying(
                        AddedNode.Fit.class,
                        fit -> assertThat(fit.node().model()).isEqualTo("${PENSTOCK_SECRET_A}"));
    }

    private static String document(String reference) {
        return "{\"backend\": \"vllm\", \"url\": \"http://a\", \"api-key\": \"%s\"}".formatted(reference);
    }

    private static @Nullable String key(Secrets secrets, String reference) {
        AddedNode read = read(document(reference), keys(secrets, Map.of()));
        assertThat(read).isInstanceOf(AddedNode.Fit.class);
        return ((AddedNode.Fit) read).node().apiKey();
    }

    private static AddedNode.Keys keys(Secrets secrets, Map<String, String> boundTo) {
        return new AddedNode.Keys(
                secrets,
                Map.of(
                        "PENSTOCK_SECRET_A", "sk-env",
                        "PENSTOCK_SECRET_", "sk-bare",
                        "PENSTOCK_SECRET_LINES", "sk-1\nsk-2",
                        "OTHER_KEY", "sk-other",
                        "KAFKA_SASL_JAAS_CONFIG", "password"),
                boundTo);
    }

    private static List<String> mistakes(String document) {
        AddedNode read = read(document);
        assertThat(read).isInstanceOf(AddedNode.Unfit.class);
        return ((AddedNode.Unfit) read).mistakes();
    }

    private static AddedNode read(String document) {
        return read(document, keys(Secrets.DEFAULTS, Map.of()));
    }

    private static AddedNode read(String document, AddedNode.Keys keys) {
        JsonNode json = Objects.requireNonNull(Json.parseLenient(document), document);
        return AddedNode.read("cpu.b", json, keys);
    }
}
