package dev.penstock.cli.doctor;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.cli.Client;
import dev.penstock.cli.rest.ScriptedHttpServer;
import dev.penstock.cli.view.Console;
import dev.penstock.wire.Json;
import dev.penstock.wire.record.GroupNames;
import java.io.IOException;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartitionInfo;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Tests {@code penstock doctor} without a broker. ClientIT tests it with one. */
class DoctorTest {
    private static final String NO_BROKER = "127.0.0.1:1";

    private final Console console = new Console();

    @TempDir
    private Path folder;

    @Test
    void a_running_service_reports_itself_and_its_nodes() throws Exception {
        try (ScriptedHttpServer api = new ScriptedHttpServer();
                ScriptedHttpServer management = new ScriptedHttpServer()) {
            api.json(200, """
                    {"data":[{"name":"gpu-a","state":"up","backend":"vllm","models":[{"id":"tiny"}],"last_error":null},
                    {"name":"cpu-a","state":"down","backend":"ollama","models":[],"last_error":"ollama at http://x refused the connection: is it running? (ollama serve)"},
                    {"name":"odd","state":"up","backend":"vllm","models":[],"last_error":"vllm at http://y: the server there is ollama: set penstock.nodes.odd.backend to ollama"}]}
                    """);
            management.json(503, """
                    {"status":"DOWN","checks":[{"name":"intake","status":"DOWN","data":{"intake":"STARTING","version":"9.9",
                    "broker":"has not been reached yet","mode":"share","ledger":"sqlite is away","warning.node.cpu-a":"down",
                    "warning.broker":"Kafka does not answer","waiting.node_down":"3 jobs, such as a: cpu-a is down"}}]}
                    """);

            int exit = run(installation(List.of()), "--url", api.url(), "--management", management.url());

            assertThat(exit).isEqualTo(1);
            assertThat(lines())
                    .anySatisfy(line -> assertThat(line).matches("ok +API +answers at http://127.*"))
                    .anySatisfy(line -> assertThat(line)
                            .matches("FAIL +health +not ready: intake STARTING, Kafka has not been reached yet  - .*"))
                    .anySatisfy(line -> assertThat(line).matches("ok +intake +share"))
                    .anySatisfy(line -> assertThat(line).matches("FAIL +ledger +sqlite is away  - .*"))
                    .anySatisfy(line -> assertThat(line).matches("warn +broker +Kafka does not answer"))
                    .anySatisfy(line -> assertThat(line).matches("warn +jobs wait +3 jobs, such as a.*"))
                    .anySatisfy(line -> assertThat(line).matches("ok +node gpu-a +vllm, tiny"))
                    .anySatisfy(line -> assertThat(line).matches("FAIL +node cpu-a +ollama at .*is it running.*"))
                    .anySatisfy(line -> assertThat(line).matches("warn +node odd +.*set penstock.nodes.odd.backend.*"))
                    .anySatisfy(line ->
                            assertThat(line).matches("FAIL +Kafka +Kafka at 127.0.0.1:1 does not answer.*  - .*"))
                    .noneMatch(line -> line.contains("node.cpu-a"));
            assertThat(console.err()).isEmpty();
        }
    }

    @Test
    void where_the_service_is_down_what_is_configured_is_looked_at() {
        Installation here = installation(List.of(
                node("gpu-a", new Installation.Health(Installation.State.UP, List.of("tiny", "big"), "")),
                node("cpu-a", new Installation.Health(Installation.State.DOWN, List.of(), "it refused the connection")),
                node("slow", new Installation.Health(Installation.State.LOADING, List.of(), "Loading model")),
                new Installation.Node("broken", "vllm", "http://b", () -> {
                    throw new IllegalStateException("no");
                })));

        int exit = run(here, "--url", "http://127.0.0.1:1");

        assertThat(exit).isEqualTo(1);
        assertThat(lines())
                .anySatisfy(line -> assertThat(line)
                        .matches("FAIL +API +http://127.0.0.1:1 cannot be reached.*  - start it: penstock.*"))
                .anySatisfy(line -> assertThat(line).matches("ok +node gpu-a +vllm, tiny, big"))
                .anySatisfy(line -> assertThat(line).matches("FAIL +node cpu-a +it refused the connection"))
                .anySatisfy(line -> assertThat(line).matches("warn +node slow +vllm loads: Loading model.*"))
                .anySatisfy(line -> assertThat(line).matches("FAIL +node broken +http://b cannot be asked.*"))
                .anySatisfy(line -> assertThat(line).matches("ok +ledger +sqlite: .*is made at the start"))
                .anySatisfy(line -> assertThat(line).matches("FAIL +port +quarkus.http.port: in use"))
                .anySatisfy(line -> assertThat(line).matches("FAIL +configuration +penstock.intake.slots: wrong"))
                .anySatisfy(
                        line -> assertThat(line).matches("warn +configuration +the variable PENSTOCK_X has no effect"));
        assertThat(console.out()).contains("Model servers of this machine:").doesNotContain("Exception:", "\tat ");
    }

    @Test
    void json_has_the_same() {
        int exit = run(installation(List.of()), "--url", "http://127.0.0.1:1", "--json");

        assertThat(exit).isEqualTo(1);
        JsonNode document = Objects.requireNonNull(Json.parseLenient(console.out()));
        assertThat(document.path("ok").asBoolean(true)).isFalse();
        assertThat(document.path("findings")).anySatisfy(finding -> {
            assertThat(finding.path("level").asText()).isEqualTo("FAIL");
            assertThat(finding.path("what").asText()).isEqualTo("API");
            assertThat(finding.path("way_out").asText()).contains("--url");
        });
        assertThat(document.path("model_servers").isArray()).isTrue();
    }

    @Test
    void a_topic_of_others_whose_records_may_grow_is_reported_with_the_command_that_fixes_it()
            throws InterruptedException {
        for (String kind : List.of("producer", "zstd", "lz4", "uncompressed")) {
            List<Finding> found = new ArrayList<>();

            new TopicLook("broker:9092", 3, found)
                    .look(
                            new Installation.Topic("jobs", 4, false, Map.of("compression.type", "uncompressed")),
                            description("jobs", 4, 3),
                            config(Map.of("compression.type", kind)));

            assertThat(found)
                    .singleElement()
                    .satisfies(finding ->
                            assertThat(finding.line()).startsWith(kind.equals("uncompressed") ? "ok" : "warn"));
            if (!kind.equals("uncompressed")) {
                assertThat(found.getFirst().line())
                        .contains(
                                "compression.type is " + kind,
                                "a small one may grow",
                                "kafka-configs --bootstrap-server broker:9092 --alter --topic jobs --add-config compression.type=uncompressed");
            }
        }
    }

    @Test
    void differences_of_a_topic_from_penstocks_are_reported() throws InterruptedException {
        Installation.Topic wanted = new Installation.Topic(
                "later",
                4,
                true,
                Map.of(
                        "message.timestamp.type", "LogAppendTime",
                        "compression.type", "lz4",
                        "max.message.bytes", "1000"));
        List<Finding> found = new ArrayList<>();
        TopicLook look = new TopicLook("broker:9092", 3, found);

        look.look(
                wanted,
                description("later", 4, 3),
                config(Map.of(
                        "message.timestamp.type", "LogAppendTime",
                        "compression.type", "lz4",
                        "max.message.bytes", "2000",
                        "min.insync.replicas", "2",
                        "cleanup.policy", "delete")));
        assertThat(found).singleElement().isEqualTo(Finding.ok("topic later", "4 partitions, 3 replicas"));
        found.clear();

        look.look(
                wanted,
                description("later", 2, 1),
                config(Map.of(
                        "message.timestamp.type", "CreateTime",
                        "compression.type", "zstd",
                        "max.message.bytes", "999",
                        "min.insync.replicas", "2",
                        "cleanup.policy", "compact,delete")));
        assertThat(found.stream().map(Finding::line))
                .anySatisfy(line -> assertThat(line)
                        .startsWith("FAIL")
                        .contains("2 partitions, and 4 are needed  - kafka-topics --bootstrap-server broker:9092"))
                .anySatisfy(line -> assertThat(line).startsWith("warn").contains("1 replica on 3 brokers"))
                .anySatisfy(line -> assertThat(line)
                        .startsWith("warn")
                        .contains("compression.type is zstd", "--add-config compression.type=lz4"))
                .anySatisfy(
                        line -> assertThat(line).startsWith("warn").contains("message.timestamp.type is CreateTime"))
                .anySatisfy(line -> assertThat(line).startsWith("warn").contains("max.message.bytes is 999"))
                .anySatisfy(line -> assertThat(line).startsWith("FAIL").contains("compacted"))
                .anySatisfy(line -> assertThat(line)
                        .startsWith("FAIL")
                        .contains("2 of 2 partitions take no records", "min.insync.replicas, 2"))
                .hasSize(7);
    }

    @Test
    void a_ledger_is_a_file_that_can_be_written_or_a_database_that_answers() throws IOException {
        assertThat(LedgerLook.look("none", "").level()).isEqualTo(Finding.Level.OK);
        assertThat(LedgerLook.look("sqlite", folder.resolve("a/b.db").toString())
                        .level())
                .isEqualTo(Finding.Level.OK);
        assertThat(LedgerLook.look(
                                "sqlite",
                                Files.createFile(folder.resolve("file"))
                                        .resolve("b.db")
                                        .toString())
                        .level())
                .isEqualTo(Finding.Level.FAIL);
        try (ServerSocket database = new ServerSocket(0)) {
            String url = "jdbc:postgresql://127.0.0.1:%d/penstock?currentSchema=a".formatted(database.getLocalPort());
            assertThat(LedgerLook.look("postgresql", url).level()).isEqualTo(Finding.Level.OK);
        }
        assertThat(LedgerLook.look("postgresql", "jdbc:postgresql://127.0.0.1:1/penstock")
                        .line())
                .startsWith("FAIL")
                .contains("127.0.0.1:1", "penstock.ledger.url");
    }

    private static KafkaFuture<Config> config(Map<String, String> entries) {
        return KafkaFuture.completedFuture(new Config(entries.entrySet().stream()
                .map(entry -> new ConfigEntry(entry.getKey(), entry.getValue()))
                .toList()));
    }

    private static TopicDescription description(String name, int partitions, int replicas) {
        List<Node> brokers = IntStream.range(0, replicas)
                .mapToObj(i -> new Node(i, "b" + i, 9092))
                .toList();
        return new TopicDescription(
                name,
                false,
                IntStream.range(0, partitions)
                        .mapToObj(i -> new TopicPartitionInfo(i, brokers.getFirst(), brokers, brokers))
                        .toList());
    }

    private static Installation.Node node(String name, Installation.Health health) {
        return new Installation.Node(name, "vllm", "http://" + name, () -> health);
    }

    private Installation installation(List<Installation.Node> nodes) {
        return new Installation(
                List.of("penstock.intake.slots: wrong"),
                List.of("quarkus.http.port: in use"),
                List.of("the variable PENSTOCK_X has no effect"),
                "http://localhost:8080",
                9000,
                Map.of("bootstrap.servers", NO_BROKER, "default.api.timeout.ms", "200"),
                new GroupNames("acme."),
                Optional.empty(),
                new Installation.Topics(
                        true, List.of("prompt-jobs"), "prompt-jobs-deferred", "penstock-settings", List.of()),
                "sqlite",
                folder.resolve("penstock.db").toString(),
                nodes);
    }

    private int run(Installation here, String... arguments) {
        List<String> all = new ArrayList<>(List.of("doctor"));
        all.addAll(List.of(arguments));
        return Client.run(console.terminal(), () -> here, all.toArray(String[]::new));
    }

    private List<String> lines() {
        return console.out().lines().toList();
    }
}
