package dev.penstock.node;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.settings.NodeSettings;
import dev.penstock.settings.read.TestSettings;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.FakeUpstream;
import dev.penstock.testkit.upstream.Flavour;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Tests one probe of a node's server, with the service's own messages. */
class NodeCheckTest {
    private FakeUpstream fake;

    @TempDir
    private Path folder;

    @BeforeEach
    void start() {
        fake = FakeUpstream.start();
    }

    @AfterEach
    void stop() {
        fake.close();
    }

    @Test
    void a_server_that_is_up_lists_its_models() throws InterruptedException {
        assertThat(check("vllm", fake.url())).isEqualTo(new NodeCheck.Found(Node.State.UP, List.of("tiny"), null));
        assertThat(check("ollama", fake.url()).state()).isEqualTo(Node.State.UP);
    }

    @Test
    void a_server_of_another_kind_is_reported() throws InterruptedException {
        fake.flavour(Flavour.LLAMA_SERVER);

        assertThat(check("vllm", fake.url()).words())
                .contains("the server there is llama-server: set penstock.nodes.a.backend to llama-server");
    }

    @Test
    void a_key_that_is_refused_a_server_that_loads_and_none() throws InterruptedException {
        fake.probes(_ -> Optional.of(Answer.refuse(401, "Unauthorized")));
        assertThat(check("vllm", fake.url()).words()).contains("401", "penstock.nodes.a.api-key");
        fake.probes(_ -> Optional.of(Answer.refuse(503, "Loading model")));
        assertThat(check("llama-server", fake.url()).state()).isEqualTo(Node.State.LOADING);
        fake.stop();
        assertThat(check("ollama", fake.url()).words())
                .contains("refused the connection: is it running? (ollama serve)");
        assertThat(check("ollama", "http://nosuch.invalid:11434").words()).contains("host name that is not known");
    }

    @Test
    void a_program_is_not_started() throws IOException, InterruptedException {
        Path model = Files.writeString(folder.resolve("a.gguf"), "GGUF");
        Path program = Files.writeString(folder.resolve("llama"), "");
        assertThat(program.toFile().setExecutable(true)).isTrue();

        assertThat(program("llama-cli", program, model).models()).containsExactly("a");
        assertThat(program("llama-server", program, model).state()).isEqualTo(Node.State.UP);
        assertThat(program("llama-server", folder.resolve("none"), model).words())
                .contains("there is no program", "penstock.nodes.a.command");
        assertThat(program("llama-server", program, folder.resolve("none.gguf")).words())
                .contains("penstock.nodes.a.model-path");
    }

    private static NodeCheck.Found program(String backend, Path command, Path model) throws InterruptedException {
        return NodeCheck.of(TestSettings.ofFile(Map.of(
                        "penstock.nodes.a.backend", backend,
                        "penstock.nodes.a.command", command.toString(),
                        "penstock.nodes.a.model-path", model.toString()))
                .nodes()
                .getFirst());
    }

    private static NodeCheck.Found check(String backend, String url) throws InterruptedException {
        NodeSettings node = TestSettings.ofFile(Map.of(
                        "penstock.nodes.a.backend", backend,
                        "penstock.nodes.a.url", url))
                .nodes()
                .getFirst();
        return NodeCheck.of(node);
    }
}
