package dev.penstock.cli.doctor;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.cli.rest.ScriptedHttpServer;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.FakeUpstream;
import dev.penstock.testkit.upstream.Flavour;
import dev.penstock.testkit.upstream.Recording;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DiagnosisTest {
    @TempDir
    private Path folder;

    @Test
    void servers_are_known_by_what_they_say() throws Exception {
        try (FakeUpstream vllm = FakeUpstream.start();
                FakeUpstream llama = FakeUpstream.start();
                FakeUpstream ollama = FakeUpstream.start();
                FakeUpstream down = FakeUpstream.start();
                ScriptedHttpServer other = new ScriptedHttpServer()) {
            down.stop();
            vllm.probes(request -> request.path().startsWith("/api/")
                    ? Optional.of(Answer.document(404, "{\"detail\":\"Not Found\"}"))
                    : Optional.empty());
            llama.flavour(Flavour.LLAMA_SERVER)
                    .probes(request -> request.path().startsWith("/api/")
                            ? Optional.of(Answer.document(404, "{\"error\":{}}"))
                            : Optional.empty());
            int otherPort = Integer.parseInt(other.url().replaceFirst(".*:", ""));

            Diagnosis diagnosis = Diagnosis.look(
                    List.of(vllm.port(), llama.port(), ollama.port(), down.port(), otherPort), "", folder);

            assertThat(diagnosis.answers())
                    .containsExactly(
                            new PortLook.Answer.Server(
                                    vllm.port(), "vLLM 0.32.0", Optional.of(ModelServerKind.VLLM), List.of("tiny")),
                            new PortLook.Answer.Server(
                                    llama.port(),
                                    "llama-server",
                                    Optional.of(ModelServerKind.LLAMA_SERVER),
                                    List.of("tiny")),
                            new PortLook.Answer.Server(
                                    ollama.port(),
                                    "Ollama 0.33.0-rc2",
                                    Optional.of(ModelServerKind.OLLAMA),
                                    List.of("tiny")),
                            new PortLook.Answer.Nothing(down.port()),
                            new PortLook.Answer.Other(otherPort, "a server that is no model server (HTTP 500)", false));
            assertThat(diagnosis.anyRuns()).isTrue();
            assertThat(diagnosis.servers()).contains("Ollama", "runs on " + ollama.port());
        }
    }

    @Test
    void lm_studio_is_known_on_any_port_by_its_own_listing() throws Exception {
        try (FakeUpstream lmStudio = FakeUpstream.start();
                FakeUpstream other = FakeUpstream.start()) {
            lmStudio.probes(request -> switch (request.path()) {
                case "/v1/models" -> Optional.empty();
                case "/api/v0/models" ->
                    Optional.of(
                            Answer.document(
                                    200,
                                    "{\"object\":\"list\",\"data\":[{\"id\":\"tiny\",\"object\":\"model\",\"type\":\"llm\",\"state\":\"not-loaded\",\"max_context_length\":2048}]}"));
                // the answer for an unknown path
                default -> Optional.of(Answer.document(200, "{\"error\":\"Unexpected endpoint or method.\"}"));
            });
            other.probes(request -> request.path().equals("/v1/models")
                    ? Optional.empty()
                    : Optional.of(Answer.document(404, "{\"detail\":\"Not Found\"}")));

            Diagnosis diagnosis = Diagnosis.look(List.of(lmStudio.port(), other.port()), "", folder);

            assertThat(diagnosis.answers())
                    .containsExactly(
                            new PortLook.Answer.Server(
                                    lmStudio.port(),
                                    "LM Studio",
                                    Optional.of(ModelServerKind.LM_STUDIO),
                                    List.of("tiny")),
                            new PortLook.Answer.Server(
                                    other.port(), "an OpenAI-compatible server", Optional.empty(), List.of("tiny")));
        }
    }

    @Test
    void a_llama_server_that_loads_or_wants_a_key_runs() throws Exception {
        Path path = Files.createDirectory(folder.resolve("path"));
        program(path.resolve("llama-server"));
        try (FakeUpstream loading = FakeUpstream.start();
                FakeUpstream keyed = FakeUpstream.start();
                FakeUpstream down = FakeUpstream.start()) {
            loading.probes(_ -> Optional.of(recorded("llama-server/loading-models")));
            keyed.probes(_ -> Optional.of(recorded("llama-server/key-models")));
            down.probes(_ -> Optional.of(Answer.document(503, "{}")));

            Diagnosis diagnosis =
                    Diagnosis.look(List.of(loading.port(), keyed.port(), down.port()), path.toString(), folder);

            assertThat(diagnosis.answers())
                    .containsExactly(
                            new PortLook.Answer.Server(
                                    loading.port(),
                                    "llama-server, which is loading its model",
                                    Optional.of(ModelServerKind.LLAMA_SERVER),
                                    List.of()),
                            new PortLook.Answer.Server(
                                    keyed.port(),
                                    "llama-server, which asks for a key",
                                    Optional.of(ModelServerKind.LLAMA_SERVER),
                                    List.of()),
                            new PortLook.Answer.Other(down.port(), "a server that is not ready (HTTP 503)", true));
            assertThat(diagnosis.servers())
                    .contains("runs on %d, %d".formatted(loading.port(), keyed.port()))
                    .doesNotContain("start it: llama-server");
        }
    }

    @Test
    void what_does_not_say_what_it_is_may_be_what_is_installed() {
        var installed =
                Map.of(ModelServerKind.LLAMA_SERVER, new Diagnosis.Installed(Path.of("/bin/llama-server"), true));
        for (PortLook.Answer unknown : List.of(
                new PortLook.Answer.Server(8081, "a server that asks for a key", Optional.empty(), List.of()),
                new PortLook.Answer.Other(8081, "a server that is not ready (HTTP 503)", true))) {
            assertThat(new Diagnosis(List.of(unknown), installed).servers())
                    .contains("what answers on 8081 may be it")
                    .doesNotContain("start it");
        }
        assertThat(new Diagnosis(List.of(new PortLook.Answer.Other(8081, "Penstock", false)), installed).servers())
                .contains("start it");
    }

    @Test
    void the_ports_that_the_environment_names_are_looked_at_too() {
        assertThat(Diagnosis.ports(Map.of(
                        "OLLAMA_HOST", "0.0.0.0:11500",
                        "VLLM_URL", "http://localhost:8001/v1",
                        "LMSTUDIO_URL", "http://desk:4321",
                        "LLAMA_SERVER_URL", "http://127.0.0.1:8080")))
                .containsExactly(11434, 8000, 1234, 8081, 8080, 11500, 8001);
        assertThat(Diagnosis.ports(Map.of("OLLAMA_HOST", ":11501", "VLLM_URL", "http://localhost", "LMSTUDIO_URL", "")))
                .containsExactly(11434, 8000, 1234, 8081, 8080, 11501, 80);
        assertThat(Diagnosis.ports(Map.of("OLLAMA_HOST", "https://localhost:1", "VLLM_URL", "http://localhost:99999")))
                .isEqualTo(Diagnosis.PORTS);
    }

    private static Answer recorded(String name) {
        Recording recording = Recording.of(name);
        return Answer.document(recording.status(), recording.body());
    }

    @Test
    void what_is_installed_but_does_not_run_is_reported_with_its_start_command() throws Exception {
        Path path = Files.createDirectory(folder.resolve("path"));
        Path ollama = program(path.resolve("ollama"));
        Path lms = program(
                Files.createDirectories(folder.resolve("home/.lmstudio/bin")).resolve("lms"));
        Files.createFile(path.resolve("vllm"));

        Diagnosis diagnosis = Diagnosis.look(List.of(), path.toString(), folder.resolve("home"));

        assertThat(diagnosis.anyRuns()).isFalse();
        assertThat(diagnosis.installed().get(ModelServerKind.OLLAMA)).isEqualTo(new Diagnosis.Installed(ollama, true));
        assertThat(diagnosis.servers().lines())
                .anySatisfy(line ->
                        assertThat(line).matches("Ollama +installed, not running +\\S+ +start it: ollama serve"))
                .anySatisfy(line -> assertThat(line)
                        .matches("LM Studio +installed, not running +\\S+ +start it: " + lms
                                + " server start --port 1234"))
                .anySatisfy(line -> assertThat(line).matches("vLLM +not installed +get it: pip install vllm"));
    }

    private static Path program(Path file) throws IOException {
        Files.createFile(file);
        assertThat(file.toFile().setExecutable(true)).isTrue();
        return file;
    }
}
