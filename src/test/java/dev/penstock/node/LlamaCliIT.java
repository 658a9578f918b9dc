package dev.penstock.node;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.JobFailure;
import dev.penstock.job.Task;
import dev.penstock.job.TokenEvent;
import dev.penstock.settings.Backend;
import dev.penstock.settings.NodeSettings;
import dev.penstock.testkit.ChildProcess;
import dev.penstock.testkit.LlamaServer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.opentest4j.TestAbortedException;

/** The contract, and more, against the real llama-cli and the other programs of llama.cpp. */
class LlamaCliIT {
    /** It takes no tools, was never seen to print an error in the midst of an answer, and nobody connects to it. */
    private static final Set<ContractCase> IMPOSSIBLE =
            EnumSet.of(ContractCase.TOOLS, ContractCase.ERROR_IN_MID_STREAM, ContractCase.CONNECT_TIMEOUT);

    private static final Duration SHORT = Duration.ofMillis(500);
    private static final Duration PATIENT = Duration.ofMinutes(2);

    static Stream<ContractCase> cases() {
        return Arrays.stream(ContractCase.values()).filter(wanted -> !IMPOSSIBLE.contains(wanted));
    }

    @ParameterizedTest
    @MethodSource("cases")
    void the_contract(ContractCase wanted) throws Exception {
        wanted.check(stage(wanted));
        Heard.await(() -> running().findAny().isEmpty(), Duration.ofSeconds(10), "no process is left");
        assertThat(leftFolders()).as("files of this process").isEmpty();
    }

    private static Stage stage(ContractCase wanted) throws Exception {
        return switch (wanted) {
            case PLAIN_ANSWER, USAGE, LENGTH, UNICODE ->
                stage(LlamaServer.Model.ENDLESS).trying(3);
            case EMBEDDINGS -> stage(LlamaServer.Model.SLOW, "--pooling", "mean");
            case REASONING -> stage(LlamaServer.Model.THINK).trying(20);
            case ERROR_BEFORE_THE_FIRST_TOKEN -> stage(LlamaServer.Model.TINY).saying("the river ".repeat(6000));
            // llama.cpp 0.7.0 does not wait at its end until all is printed: with a slow one it mostly is
            case STREAM, COMPLETION, JSON_SCHEMA ->
                stage(LlamaServer.Model.SLOW).trying(3);
            case CUT_IN_MID_STREAM ->
                stage(LlamaServer.Model.SLOW).onFirstToken(() -> running().forEach(ProcessHandle::destroyForcibly));
            // it has a model of 108 MB to load first
            case FIRST_TOKEN_TIMEOUT ->
                stage(LlamaServer.Model.SLOW)
                        .within(Duration.ofMillis(20), PATIENT)
                        .idleWhen(() -> running().findAny().isEmpty());
            case IDLE_TIMEOUT ->
                stage(LlamaServer.Model.SLOW)
                        .within(PATIENT, SHORT)
                        .onFirstToken(() -> running().forEach(process -> ChildProcess.signal("STOP", process.pid())))
                        .idleWhen(() -> running().findAny().isEmpty());
            case CANCEL ->
                stage(LlamaServer.Model.SLOW).idleWhen(() -> running().findAny().isEmpty());
            default -> stage(LlamaServer.Model.TINY);
        };
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "--help",
                "-m /etc/passwd --version",
                "\"quoted\" 'and' $(touch x) `y` \\n \\\n\nnew\r\nlines\n\n",
                "/read /etc/passwd",
                "/exit",
                "> a prompt\n\nExiting...\n",
                "❤️ é 😀 \u0000 \u202e"
            })
    void a_prompt_is_nothing_but_text(String prompt) throws Exception {
        Stage stage = stage(LlamaServer.Model.SLOW);

        for (Task task : List.of(Task.CHAT, Task.COMPLETION)) {
            Heard heard = Heard.of(stage, prompt(stage, task, prompt));

            heard.assertWhole();
            assertThat(heard.choice().finishReason()).isEqualTo("length");
            assertThat(heard.answer().usage().completionTokens()).isEqualTo(8);
            assertThat(heard.answer().usage().promptTokens())
                    .as("all of it, and no file that it names")
                    .isBetween(3L, 250L);
            assertThat(heard.text()).isNotBlank().doesNotContain("Exiting", "Error", "root:", "> ");
        }
    }

    @Test
    void a_prompt_of_a_megabyte_gets_through() throws Exception {
        Stage stage = stage(LlamaServer.Model.TINY).trying(8);
        String megabyte = "the river ".repeat(100_000);

        for (Task task : List.of(Task.CHAT, Task.COMPLETION)) {
            // llama-completion 0.7.0 may be gone before it has said what is wrong
            JobFailure failure = Heard.until(
                            stage,
                            prompt(stage, task, megabyte),
                            said -> said.requireFailure().code() == JobFailure.Code.CONTEXT_LENGTH_EXCEEDED)
                    .requireFailure();

            assertThat(failure.code()).as(failure.message()).isEqualTo(JobFailure.Code.CONTEXT_LENGTH_EXCEEDED);
            assertThat(failure.message()).contains("prompt has 200,0");
        }
    }

    @Test
    void what_it_is_told_nobody_else_can_read() throws Exception {
        Stage stage = stage(LlamaServer.Model.SLOW);
        try (TokenStream stream = stage.client().stream(Prompt.of(
                Task.CHAT,
                stage.model(),
                Map.of(
                        "messages",
                        List.of(
                                Map.of("role", "system", "content", "the-system-prompt"),
                                Map.of("role", "user", "content", "the-prompt")),
                        "stop",
                        "the-stop"),
                Map.of(),
                Map.of(),
                0))) {
            TokenEvent event = Heard.next(stream);
            assertThat(event).isNotInstanceOf(TokenEvent.Broken.class);

            assertThat(running())
                    .hasSize(1)
                    .allSatisfy(process -> assertThat(commandLine(process))
                            .contains("prompt.txt")
                            .doesNotContain("the-"));
            assertThat(leftFolders()).singleElement().satisfies(folder -> {
                assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(folder)))
                        .isEqualTo("rwx------");
                try (Stream<Path> files = Files.list(folder)) {
                    assertThat(files)
                            .extracting(file -> PosixFilePermissions.toString(Files.getPosixFilePermissions(file)))
                            .hasSize(2)
                            .containsOnly("rw-------");
                }
            });
        }
        assertThat(running()).as("closing waits for its end").isEmpty();
        assertThat(leftFolders()).isEmpty();
    }

    @Test
    void a_stop_string_ends_the_process() throws Exception {
        Stage stage = stage(LlamaServer.Model.SLOW);

        Heard heard = Heard.of(
                stage,
                Prompt.of(
                        Task.COMPLETION,
                        stage.model(),
                        Map.of("prompt", "a", "stop", List.of(" ", ".", "e")),
                        Map.of(),
                        Map.of(),
                        0));

        heard.assertWhole();
        assertThat(heard.text()).doesNotContain(" ", ".", "e");
        assertThat(heard.choice().finishReason()).isEqualTo("stop");
        assertThat(running()).isEmpty();
    }

    @Test
    void a_folder_has_a_model_for_each_file() throws Exception {
        LlamaServer.Programs had = had(LlamaServer.Model.TINY);
        try (Upstream programs = programs(had, Objects.requireNonNull(had.gguf().getParent()))) {
            assertThat(programs.probe())
                    .isInstanceOfSatisfying(
                            Node.ProbeResult.Up.class,
                            up -> assertThat(up.models())
                                    .extracting(WireProtocol.Model::id)
                                    .contains("tiny"));
            Stage stage = Stage.of(programs, "tiny");
            Heard.of(stage, prompt(stage, Task.CHAT, "Hi")).assertWhole();
        }
    }

    @Test
    void a_file_that_is_no_model_is_told_in_its_own_words() throws Exception {
        LlamaServer.Programs had = had(LlamaServer.Model.TINY);
        Path broken = Files.writeString(Files.createTempFile("broken", ".gguf"), "no model");
        try (Upstream programs = programs(had, broken)) {
            Stage stage = Stage.of(programs, ModelFiles.nameOf(broken));

            for (Task task : List.of(Task.CHAT, Task.COMPLETION)) {
                JobFailure failure = Heard.of(stage, prompt(stage, task, "Hi")).requireFailure();
                assertThat(failure.code()).isEqualTo(JobFailure.Code.NODE_ERROR);
                assertThat(failure.message())
                        .startsWith(programs.title() + " failed with status 1: ")
                        .contains(task == Task.CHAT ? "load" : "")
                        .doesNotContain("\n")
                        .hasSizeLessThan(500);
            }
        } finally {
            Files.delete(broken);
        }
    }

    private static Prompt prompt(Stage stage, Task task, String text) {
        Object body = task == Task.CHAT ? List.of(Map.of("role", "user", "content", text)) : text;
        return Prompt.of(
                task,
                stage.model(),
                Map.of(task == Task.CHAT ? "messages" : "prompt", body, "max_tokens", 8),
                Map.of("pooling", "mean"),
                Map.of(),
                0);
    }

    private static Stage stage(LlamaServer.Model model, String... more) throws InterruptedException {
        LlamaServer.Programs had = had(model);
        return Stage.of(programs(had, had.gguf(), more), ModelFiles.nameOf(had.gguf()));
    }

    private static LlamaPrograms programs(LlamaServer.Programs had, Path models, String... more) {
        String[] arguments =
                Stream.concat(Stream.of("-t", "1"), Stream.of(more)).toArray(String[]::new);
        NodeSettings.Program program =
                NodeSettings.Program.of(had.folder().resolve("llama-cli").toString(), models, arguments);
        return new LlamaPrograms(NodeSettings.started("cli", Backend.LLAMA_CLI, program), program);
    }

    private static LlamaServer.Programs had(LlamaServer.Model model) throws InterruptedException {
        return LlamaServer.programs(model)
                .orElseThrow(() -> new TestAbortedException("SKIPPED: no llama-cli can be had here"));
    }

    private static Stream<ProcessHandle> running() {
        return ProcessHandle.current()
                .descendants()
                .filter(process -> process.info().command().orElse("").contains("llama-"));
    }

    private static String commandLine(ProcessHandle process) throws IOException {
        return Files.readString(Path.of("/proc/" + process.pid() + "/cmdline"));
    }

    private static List<Path> leftFolders() throws IOException {
        String prefix = "penstock-" + ProcessHandle.current().pid() + "-";
        try (Stream<Path> folders = Files.list(Path.of(System.getProperty("java.io.tmpdir")))) {
            return folders.filter(folder -> String.valueOf(folder.getFileName()).startsWith(prefix))
                    .toList();
        }
    }
}
