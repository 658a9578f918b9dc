package dev.penstock.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.FakeUpstream;
import dev.penstock.testkit.upstream.Flavour;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
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
                ScriptedService other = new ScriptedService()) {
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
                            new PortLook.Answer.Other(otherPort, "a server that is no model server (HTTP 500)"));
            assertThat(diagnosis.anyRuns()).isTrue();
            assertThat(diagnosis.servers()).contains("Ollama", "runs on " + ollama.port());
        }
    }

    @Test
    void what_is_installed_but_does_not_run_is_told_with_what_starts_it() throws Exception {
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
