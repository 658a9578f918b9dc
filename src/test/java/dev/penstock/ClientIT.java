package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.testkit.Broker;
import dev.penstock.testkit.ChildProcess;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.TestEnvironment;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.FakeUpstream;
import dev.penstock.wire.Json;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The same program with arguments: a client of the service. */
class ClientIT {
    private static final Duration PATIENCE = Duration.ofMinutes(1);

    private static Broker broker;
    private static FakeUpstream fake;
    private static PenstockProcess penstock;

    @TempDir
    private Path folder;

    @BeforeAll
    static void start() throws InterruptedException {
        broker = Broker.start();
        fake = FakeUpstream.start();
        penstock = PenstockProcess.with(broker.bootstrap())
                .node("fake", "vllm", URI.create(fake.url()), 8)
                .startReady();
    }

    @AfterAll
    static void stop() {
        penstock.close();
        fake.close();
        broker.close();
    }

    @BeforeEach
    void answerAsUsual() {
        fake.script(_ -> Answer.unicode(15).every(Duration.ofMillis(10)));
    }

    @Test
    void a_prompt_is_answered_on_the_terminal_over_rest_and_over_kafka() throws InterruptedException {
        for (List<String> way :
                List.of(List.of("--url", penstock.url().toString()), List.of("--kafka", broker.bootstrap()))) {
            List<String> arguments = new ArrayList<>(List.of("submit"));
            arguments.addAll(way);
            arguments.add("Hello");

            ChildProcess client = run(arguments);

            assertThat(client.awaitExit(PATIENCE)).as("%s", client.output()).hasValue(0);
            assertThat(String.join("\n", client.output()))
                    .contains(Answer.unicode(15).joined());
        }
    }

    @Test
    void exit_codes_tell_outcomes_apart() throws InterruptedException {
        String url = penstock.url().toString();
        fake.script(_ -> Answer.refuse(400, "no"));
        assertThat(run(List.of("submit", "--url", url, "Hello")).awaitExit(PATIENCE))
                .hasValue(1);
        assertThat(run(List.of("submit", "--nonsense")).awaitExit(PATIENCE)).hasValue(2);
        assertThat(run(List.of("submit", "--url", url, "--timeout", "PT5H", "Hello"))
                        .awaitExit(PATIENCE))
                .hasValue(5);
        assertThat(run(List.of("nodes", "--url", "http://127.0.0.1:1")).awaitExit(PATIENCE))
                .hasValue(6);
        fake.script(_ -> Answer.tokens(3).stalling());
        ChildProcess watched = run(List.of("submit", "--url", url, "--id", "to-cancel", "Hello"));
        fake.awaitInFlight(1, PATIENCE);
        assertThat(run(List.of("cancel", "--url", url, "to-cancel")).awaitExit(PATIENCE))
                .hasValue(0);
        assertThat(watched.awaitExit(PATIENCE)).hasValue(3);
        assertThat(run(List.of("watch", "--url", url, "to-cancel")).awaitExit(PATIENCE))
                .hasValue(3);
    }

    @Test
    void nodes_and_models_are_listed() throws InterruptedException {
        String url = penstock.url().toString();
        ChildProcess nodes = run(List.of("nodes", "--url", url));
        assertThat(nodes.awaitExit(PATIENCE)).hasValue(0);
        assertThat(String.join("\n", nodes.output())).contains("fake", "vllm", "up");
        ChildProcess models = run(List.of("models", "--url", url));
        assertThat(models.awaitExit(PATIENCE)).hasValue(0);
        assertThat(String.join("\n", models.output())).contains("tiny");
    }

    @Test
    void a_file_of_jobs_goes_on_where_it_stopped() throws InterruptedException, IOException {
        Path jobs = folder.resolve("jobs.ndjson");
        Path results = folder.resolve("results.ndjson");
        List<String> lines = new ArrayList<>();
        for (int i = 0; i < 60; i++) {
            lines.add("{\"prompt\":\"number " + i + "\"}");
        }
        Files.write(jobs, lines);
        List<String> arguments = List.of(
                "submit",
                "--url",
                penstock.url().toString(),
                "--file",
                jobs.toString(),
                "--out",
                results.toString(),
                "--parallel",
                "4");
        ChildProcess killed = run(arguments);
        fake.await(stats -> stats.finished() > 10, PATIENCE);
        killed.kill9();

        ChildProcess again = run(arguments);

        assertThat(again.awaitExit(PATIENCE)).as("%s", again.output()).hasValue(0);
        Set<Integer> done = new TreeSet<>();
        List<String> written = Files.readAllLines(results);
        for (String line : written) {
            JsonNode result = Objects.requireNonNull(Json.parseLenient(line));
            done.add(result.path("line").asInt());
            assertThat(result.path("job").path("event").asText()).isEqualTo("completed");
        }
        assertThat(written).hasSize(60);
        assertThat(done).hasSize(60);
    }

    @Test
    void the_environment_names_the_service() throws InterruptedException {
        String url = penstock.url().toString();
        ChildProcess nodes = run(List.of("nodes"), Map.of("PENSTOCK_URL", url));
        assertThat(nodes.awaitExit(PATIENCE)).hasValue(0);
        assertThat(String.join("\n", nodes.output())).contains("fake", "vllm", "up");
        ChildProcess help = run(List.of("help", "submit"));
        assertThat(help.awaitExit(PATIENCE)).hasValue(0);
        assertThat(String.join("\n", help.output())).contains("--retry-failed", "Exit codes:");
        ChildProcess completion = run(List.of("completion"));
        assertThat(completion.awaitExit(PATIENCE)).hasValue(0);
        assertThat(String.join("\n", completion.output())).contains("complete -F _complete_penstock");
    }

    @Test
    void the_doctor_looks_at_everything_also_where_the_service_is_down() throws InterruptedException {
        ChildProcess well = run(List.of(
                "doctor",
                "--url",
                penstock.url().toString(),
                "--management",
                penstock.managementUrl().toString(),
                "--kafka",
                broker.bootstrap()));
        assertThat(well.awaitExit(PATIENCE)).as("%s", well.output()).hasValue(0);
        for (String line : List.of(
                "ok +API +answers at .*",
                "ok +health +ready, intake RUNNING",
                "ok +version +\\S+",
                "ok +ledger +sqlite, .*",
                "ok +Kafka +1 broker at .*, cluster .*",
                "ok +Kafka's features +.*share.version 1.*",
                "ok +topic prompt-jobs +4 partitions, 1 replica",
                "ok +topic prompt-replies +12 partitions, 1 replica",
                "ok +share groups +usable",
                "ok +intake mode +share, decided at an earlier start .*",
                "ok +groups +1 replica in penstock-ledger",
                "ok +node fake +vllm, tiny")) {
            assertThat(well.output())
                    .as("%s", well.output())
                    .anySatisfy(printed -> assertThat(printed).matches(line));
        }

        ChildProcess ill = run(
                List.of("doctor", "--url", "http://127.0.0.1:1"),
                Map.of(
                        "KAFKA_BOOTSTRAP_SERVERS", broker.bootstrap(),
                        "PENSTOCK_LEDGER_KIND", "none",
                        "PENSTOCK_INTAKE_MODE", "classic",
                        "PENSTOCK_INTAKE_SLOT", "8",
                        "VLLM_URL", fake.url(),
                        "OLLAMA_HOST", "127.0.0.1:1"));
        assertThat(ill.awaitExit(PATIENCE)).as("%s", ill.output()).hasValue(1);
        for (String line : List.of(
                "FAIL +API +http://127.0.0.1:1 cannot be reached.*",
                "warn +configuration +the variable PENSTOCK_INTAKE_SLOT has no effect.*PENSTOCK_INTAKE_SLOTS.*",
                "ok +topic prompt-jobs-dlq +4 partitions, 1 replica",
                "FAIL +intake mode +share is in force, but penstock.intake.mode is classic  - .*migrate.*--to classic",
                "ok +ledger +none.*",
                "ok +node vllm +vllm, tiny",
                "FAIL +node ollama +ollama at .*is it running\\? \\(ollama serve\\)")) {
            assertThat(ill.output())
                    .as("%s", ill.output())
                    .anySatisfy(printed -> assertThat(printed).matches(line));
        }
        assertThat(ill.output()).noneMatch(printed -> printed.contains("Exception"));
    }

    static ChildProcess run(List<String> arguments) {
        return run(arguments, Map.of());
    }

    /** By bin/penstock, as a person would. */
    private static ChildProcess run(List<String> arguments, Map<String, String> environment) {
        Path program = PenstockProcess.defaultExecutable();
        List<String> command = new ArrayList<>();
        command.add(
                TestEnvironment.projectDir().resolve("bin").resolve("penstock").toString());
        command.addAll(arguments);
        Map<String, String> all = new HashMap<>(environment);
        all.put("PENSTOCK_EXECUTABLE", program.toString());
        all.put("JAVA_HOME", System.getProperty("java.home"));
        return ChildProcess.start("client", command, new HashMap<>(all));
    }
}
