package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.testkit.ChildProcess;
import dev.penstock.testkit.Rig;
import dev.penstock.testkit.TestEnvironment;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.UpstreamRequest;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** The clients that people already have, unmodified, against the service: {@code src/test/sdk}. */
class SdksIT {
    private static final Duration PATIENCE = Duration.ofMinutes(2);
    private static final Path PROGRAMS = TestEnvironment.projectDir().resolve("src/test/sdk");
    private static final Path HOME = TestEnvironment.projectDir().resolve(".demo/sdk");
    private static final int TOKENS = 60;
    private static final String STREAM =
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";

    private static Rig rig;
    private static URI url;

    @BeforeAll
    static void start() throws InterruptedException {
        rig = Rig.start("sdks");
        Set<String> died = ConcurrentHashMap.newKeySet();
        rig.fake().models("sse").script(request -> answer(request, died));
        url = rig.start(rig.replica("sdks", 64)
                        .node("other", "vllm", URI.create(rig.fake().url()), 64)
                        .config("penstock.compat.ollama", "true")
                        .config("penstock.retries.backoff", "10ms"))
                .url();
    }

    @AfterAll
    static void stop() {
        rig.close();
    }

    private static Answer answer(UpstreamRequest request, Set<String> died) {
        String prompt = request.prompt();
        Answer whole = Answer.unicode(TOKENS).every(Duration.ofMillis(1));
        return switch (prompt.split(" ", -1)[0]) {
            case "tools" -> toolCall();
            case "json" -> Answer.of("{\"city\":", "\"Oslo\",", "\"people\":", "700000}");
            case "slow" -> Answer.tokens(5_000).every(Duration.ofMillis(20));
            case "dies" -> died.add(prompt) ? whole.resetAfter(TOKENS / 2) : whole;
            case "fails" -> Answer.refuse(500, "of the test");
            case "too" ->
                Answer.refuse(
                        400,
                        "This model's maximum context length is 8 tokens. However, your prompt contains 9 input tokens");
            default -> Answer.of("one ", "two ", "three");
        };
    }

    /** A tool call, in the pieces in which vLLM 0.11 streams it. */
    private static Answer toolCall() {
        StringBuilder stream = new StringBuilder(STREAM);
        for (String choice : List.of(
                "\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null",
                "\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"call_1\",\"type\":\"function\",\"function\":{\"name\":\"weather\"}}]},\"finish_reason\":null",
                "\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"city\\\":\"}}]},\"finish_reason\":null",
                "\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"\\\"Oslo\\\"}\"}}]},\"finish_reason\":null",
                "\"delta\":{},\"finish_reason\":\"tool_calls\"")) {
            stream.append(
                    "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"sse\",\"choices\":[{\"index\":0,%s}]}\n\n"
                            .formatted(choice));
        }
        stream.append(
                "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"sse\",\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":7,\"total_tokens\":12}}\n\ndata: [DONE]\n\n");
        return Answer.raw(stream.toString().getBytes(StandardCharsets.UTF_8));
    }

    @Test
    void openai_for_python() throws InterruptedException {
        passes(python("openai_flows.py"));
    }

    @Test
    void langchain_for_python() throws InterruptedException {
        passes(python("langchain_flows.py"));
    }

    @Test
    void anthropic_for_python() throws InterruptedException {
        passes(python("anthropic_flows.py"));
    }

    @Test
    void ollama_for_python() throws InterruptedException {
        passes(python("ollama_flows.py"));
    }

    @Test
    void openai_for_node() throws InterruptedException {
        passes(node("openai_flows.mjs"));
    }

    @Test
    void anthropic_for_node() throws InterruptedException {
        passes(node("anthropic_flows.mjs"));
    }

    @Test
    void curl() throws InterruptedException {
        passes(List.of("bash", PROGRAMS.resolve("curl_flows.sh").toString()));
    }

    /** Runs a program. A call that it breaks off leaves nothing at the node. */
    private static void passes(List<String> program) throws InterruptedException {
        try (ChildProcess flows = ChildProcess.start(
                "sdk",
                program,
                Map.of(
                        "PENSTOCK_URL",
                        url.toString(),
                        "WHOLE_TEXT",
                        Answer.unicode(TOKENS).joined()))) {
            assertThat(flows.awaitExit(PATIENCE)).as("%s", flows.output()).hasValue(0);
            assertThat(flows.output()).anyMatch(line -> line.startsWith("passed "));
        }
        rig.fake().awaitInFlight(0, Duration.ofSeconds(20));
    }

    /** A virtual environment with the packages, kept in {@code .demo} for the next time. */
    private static synchronized List<String> python(String program) throws InterruptedException {
        Path home = HOME.resolve("python");
        String python = home.resolve("bin/python").toString();
        Path wanted = PROGRAMS.resolve("requirements.txt");
        Path there = home.resolve("requirements.txt");
        if (!sameText(wanted, there)) {
            run("python3", "-m", "venv", home.toString());
            run(python, "-m", "pip", "install", "-q", "-r", wanted.toString());
            copy(wanted, there);
        }
        return List.of(python, PROGRAMS.resolve(program).toString());
    }

    /** A copy of the programs with their packages, kept in {@code .demo} for the next time. */
    private static synchronized List<String> node(String program) throws InterruptedException {
        Path home = HOME.resolve("node");
        Path wanted = PROGRAMS.resolve("package.json");
        Path there = home.resolve("installed.json");
        copy(wanted, home.resolve("package.json"));
        if (!sameText(wanted, there)) {
            run("npm", "install", "--prefix", home.toString(), "--no-audit", "--no-fund", "--silent");
            copy(wanted, there);
        }
        for (String file : List.of("flows.mjs", program)) {
            copy(PROGRAMS.resolve(file), home.resolve(file));
        }
        return List.of("node", home.resolve(program).toString());
    }

    private static boolean sameText(Path one, Path other) {
        try {
            return Files.exists(other) && Files.mismatch(one, other) < 0;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static void copy(Path from, Path to) {
        try {
            Files.createDirectories(to.getParent());
            Files.copy(from, to, StandardCopyOption.REPLACE_EXISTING);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Runs a command. Where it cannot run, the test is skipped, unless every part is required. */
    private static void run(String... command) throws InterruptedException {
        int status;
        try {
            status = new ProcessBuilder(command)
                    .redirectErrorStream(true)
                    .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                    .start()
                    .waitFor();
        } catch (IOException _) {
            status = -1;
        }
        if (status != 0) {
            assertThat(TestEnvironment.requiresAll()).as("%s", List.of(command)).isFalse();
            Assumptions.abort("SKIPPED: cannot be had here: " + String.join(" ", command));
        }
    }
}
