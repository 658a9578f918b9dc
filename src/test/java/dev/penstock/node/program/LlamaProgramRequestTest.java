package dev.penstock.node.program;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.penstock.job.JobFailure;
import dev.penstock.job.Task;
import dev.penstock.node.protocol.Prompt;
import dev.penstock.node.protocol.WireProtocol;
import dev.penstock.settings.Backend;
import dev.penstock.settings.NodeSettings;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;

class LlamaProgramRequestTest {
    private static final Path MODEL = Path.of("/models/a.gguf");
    private static final List<Map<String, String>> HELLO =
            List.of(Map.of("role", "system", "content", "be brief"), Map.of("role", "user", "content", "--help me"));

    @Test
    void parameters_are_arguments_and_the_prompt_is_a_file() throws Exception {
        ProgramCall call = chat(Map.of(
                "messages",
                HELLO,
                "max_tokens",
                5,
                "temperature",
                0.5,
                "top_k",
                3,
                "repetition_penalty",
                1.1,
                "mirostat_tau",
                4,
                "seed",
                7,
                "stop",
                "SECRET",
                "logit_bias",
                Map.of("15", -1)));

        assertThat(call.program()).isEqualTo("llama-cli");
        assertThat(call.arguments())
                .containsSequence("-m", "/models/a.gguf")
                .containsSequence("-f", "prompt.txt")
                .containsSequence("-sysf", "system.txt")
                .containsSequence("-n", "5")
                .containsSequence("--temp", "0.5")
                .containsSequence("--top-k", "3")
                .containsSequence("--repeat-penalty", "1.1")
                .containsSequence("--mirostat-ent", "4")
                .containsSequence("--seed", "7")
                .containsSequence("--logit-bias", "15-1.0")
                .containsSequence("-c", "512")
                .containsSequence("-ngl", "all")
                .endsWith("-t", "1")
                .noneMatch(argument -> argument.contains("help") || argument.contains("SECRET"));
        assertThat(file(call, "prompt.txt")).isEqualTo("--help me");
        assertThat(file(call, "system.txt")).isEqualTo("be brief");
        assertThat(call.ignored()).isEmpty();
    }

    @Test
    void a_server_has_the_sizes_of_its_node_else_those_of_the_parameters() {
        NodeSettings.Program program = NodeSettings.Program.of("llama-server", Path.of("/models/a.gguf"));
        NodeSettings node = NodeSettings.started("edge", Backend.LLAMA_SERVER, program);

        List<String> arguments = LlamaArguments.ofServer(
                node, program, 8081, Map.of("ctx_size", 12192, "ubatch_size", 1024, "temperature", 0.3));

        assertThat(arguments)
                .containsSequence("--port", "8081")
                .containsSequence("-m", "/models/a.gguf")
                .containsSequence("-c", "12192")
                .containsSequence("-ub", "1024")
                .noneMatch(argument -> argument.contains("temp"));
    }

    @Test
    void fields_without_an_equivalent_are_reported() throws Exception {
        ProgramCall call = chat(
                Map.of("messages", HELLO, "tools", List.of(), "n", 2, "logprobs", true, "ctx_size", 9, "user", "u"));

        assertThat(call.ignored()).containsExactly("ctx_size", "logprobs", "n", "tools", "user");
        assertThat(call.arguments()).containsSequence("-c", "512").doesNotContain("9");
    }

    @Test
    void a_command_of_llama_cli_is_text_here() throws Exception {
        ProgramCall call = chat(Map.of("messages", List.of(Map.of("role", "user", "content", "/read /etc/passwd\n"))));

        assertThat(file(call, "prompt.txt")).isEqualTo(" /read /etc/passwd");
    }

    @Test
    void earlier_turns_stand_before_the_last() throws Exception {
        ProgramCall call = chat(Map.of(
                "messages",
                List.of(
                        Map.of("role", "user", "content", "Hi"),
                        Map.of("role", "assistant", "content", "Hello"),
                        Map.of("role", "user", "content", List.of(Map.of("type", "text", "text", "Bye"))))));

        assertThat(file(call, "prompt.txt")).isEqualTo("user: Hi\n\nassistant: Hello\n\nuser: Bye\n\nassistant:");
    }

    @Test
    void a_schema_is_a_file_of_llama_completion() throws Exception {
        Map<String, Object> schema = Map.of("type", "object");
        ProgramCall call = chat(Map.of(
                "messages",
                HELLO,
                "response_format",
                Map.of("type", "json_schema", "json_schema", Map.of("name", "r", "schema", schema))));

        assertThat(call.program()).isEqualTo("llama-completion");
        assertThat(call.arguments()).contains("-cnv").containsSequence("--json-schema-file", "schema.json");
        assertThat(file(call, "schema.json")).isEqualTo("{\"type\":\"object\"}");
    }

    @Test
    void the_schema_of_a_json_object_is_kept() throws Exception {
        Map<String, Object> schema = Map.of("type", "object", "maxProperties", 3);
        ProgramCall call =
                chat(Map.of("messages", HELLO, "response_format", Map.of("type", "json_object", "schema", schema)));

        assertThat(file(call, "schema.json")).contains("\"maxProperties\":3");
        assertThat(call.ignored()).isEmpty();
    }

    @Test
    void a_format_without_a_schema_is_reported() throws Exception {
        ProgramCall call = chat(Map.of(
                "messages",
                HELLO,
                "response_format",
                Map.of("type", "json_schema", "json_schema", Map.of("name", "r"))));

        assertThat(call.program()).isEqualTo("llama-cli");
        assertThat(call.files()).doesNotContainKey("schema.json");
        assertThat(call.ignored()).containsExactly("response_format");
    }

    @Test
    void a_grammar_beside_a_schema_is_reported() throws Exception {
        ProgramCall both = chat(Map.of(
                "messages", HELLO, "response_format", Map.of("type", "json_object"), "grammar", "root ::= \"a\""));
        ProgramCall alone = chat(Map.of("messages", HELLO, "grammar", "root ::= \"a\""));

        assertThat(both.ignored()).containsExactly("grammar");
        assertThat(both.files()).containsKey("schema.json");
        assertThat(both.arguments()).doesNotContain("--grammar-file");
        assertThat(alone.ignored()).isEmpty();
        assertThat(alone.arguments()).contains("--grammar-file");
    }

    @Test
    void tags_of_images_are_a_schema_too() throws Exception {
        Prompt prompt = Prompt.of(Task.TAG, "a", Map.of("images", List.of("iVBORw0KGgo=")), Map.of(), Map.of(), 0);

        ProgramCall call = LlamaProgramRequest.of(prompt, program(), MODEL);

        assertThat(call.program()).isEqualTo("llama-mtmd-cli");
        assertThat(call.arguments())
                .containsSequence("--image", "image-0")
                .containsSequence("--json-schema-file", "schema.json");
        assertThat(call.files()).containsOnlyKeys("prompt.txt", "schema.json", "image-0");
        assertThat(call.files().get("image-0")).startsWith((byte) 0x89, (byte) 'P', (byte) 'N', (byte) 'G');
    }

    @Test
    void what_no_program_could_take_is_refused() {
        assertThatThrownBy(() -> chat(Map.of("messages", HELLO, "temperature", "--help")))
                .isInstanceOf(WireProtocol.Unsupported.class);
        assertThatThrownBy(() -> chat(Map.of("messages", HELLO, "reasoning_effort", "--help")))
                .isInstanceOf(WireProtocol.Unsupported.class);
        Prompt tokens = new Prompt(Task.EMBEDDINGS, "a", Map.of("input", List.of(1, 2)), Map.of(), Map.of(), 0, null);
        assertThatThrownBy(() -> LlamaProgramRequest.of(tokens, program(), MODEL))
                .isInstanceOfSatisfying(
                        WireProtocol.Unsupported.class,
                        e -> assertThat(e.failure().code().remedy())
                                .as("a server may")
                                .isEqualTo(JobFailure.Remedy.OTHER_NODE));
    }

    private static ProgramCall chat(Map<String, Object> body) throws WireProtocol.Unsupported {
        return LlamaProgramRequest.of(
                Prompt.of(Task.CHAT, "a", body, Map.of("ctx_size", 512, "gpu_layers", "all"), Map.of(), 0),
                program(),
                MODEL);
    }

    private static NodeSettings.Program program() {
        return NodeSettings.Program.of("llama-cli", MODEL, "-t", "1");
    }

    private static String file(ProgramCall call, String name) {
        return new String(Objects.requireNonNull(call.files().get(name)), StandardCharsets.UTF_8);
    }
}
