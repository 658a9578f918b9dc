package dev.penstock.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.cli.rest.ScriptedHttpServer;
import dev.penstock.cli.view.Console;
import dev.penstock.cli.view.Terminal;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class PullCommandTest {
    private static final String PULL = """
            event: progress
            data: {"node":"cpu-a","model":"m","status":"pulling manifest","percent":0.0,"completed":null,"total":null}

            event: progress
            data: {"node":"cpu-a","model":"m","status":"pulling b9","percent":50.0,"completed":54300000,"total":108600000}

            event: progress
            data: {"node":"cpu-a","model":"m","status":"pulling b9","percent":51.0,"completed":55386000,"total":108600000}

            """;
    private static final String DONE = """
            event: done
            data: {"node":"cpu-a","model":"m","status":"success","percent":100.0}

            """;
    private final Console console = new Console();
    private ScriptedHttpServer service;

    @BeforeEach
    void start() throws IOException {
        service = new ScriptedHttpServer();
    }

    @AfterEach
    void stop() {
        service.close();
    }

    @Test
    void without_a_terminal_a_line_reports_each_tenth() {
        service.stream(PULL + DONE);

        assertThat(run("pull m --node cpu-a")).isZero();

        assertThat(service.requests()).containsExactly("POST /v1/nodes/cpu-a/models null {\"model\":\"m\"}");
        assertThat(console.err()).isEqualTo("""
                        penstock: cpu-a: 0.0 %, pulling manifest
                        penstock: cpu-a: 50.0 %, 54.3 of 108.6 MB, pulling b9
                        penstock: cpu-a: m is there
                        """);
        assertThat(console.out()).isEmpty();
    }

    @Test
    void on_a_terminal_a_bar_is_drawn_over() {
        service.stream(PULL + DONE);
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        Terminal terminal = new Terminal(
                new ByteArrayInputStream(new byte[0]),
                new PrintStream(new ByteArrayOutputStream(), true, StandardCharsets.UTF_8),
                new PrintStream(err, true, StandardCharsets.UTF_8),
                false,
                true);

        assertThat(Client.run(terminal, "pull", "m", "--node", "cpu-a", "--url", service.url()))
                .isZero();

        assertThat(err.toString(StandardCharsets.UTF_8))
                .contains("\r\033[Kcpu-a [############............] 50.0 %, 54.3 of 108.6 MB, pulling b9")
                .endsWith("\r\033[Kpenstock: cpu-a: m is there\n");
    }

    @Test
    void the_only_node_that_pulls_need_not_be_named() {
        service
                .json(
                        200,
                        "{\"data\":[{\"name\":\"gpu-a\",\"backend\":\"vllm\"},{\"name\":\"cpu/a\",\"backend\":\"ollama\"}]}")
                .stream(DONE);

        assertThat(run("pull m")).isZero();

        assertThat(service.requests().getLast()).startsWith("POST /v1/nodes/cpu%2Fa/models ");
    }

    @Test
    void several_have_to_be_chosen_from() {
        service.json(
                200, "{\"data\":[{\"name\":\"a\",\"backend\":\"ollama\"},{\"name\":\"b\",\"backend\":\"ollama\"}]}");

        assertThat(run("pull m")).isEqualTo(2);
        assertThat(console.err()).contains("--node or --pool is missing: a, b");
    }

    @Test
    void a_pool_is_one_call() {
        service.stream(DONE);

        assertThat(run("pull m --pool cpu")).isZero();
        assertThat(service.requests()).containsExactly("POST /v1/nodes/-/models?pool=cpu null {\"model\":\"m\"}");
    }

    @Test
    void a_pull_that_fails_or_breaks_off_or_is_refused() {
        service.stream(PULL + """
                event: failed
                data: {"node":"cpu-a","model":"m","error":{"message":"file does not exist","code":"model_not_found"}}

                """);
        assertThat(run("pull m --node cpu-a")).isEqualTo(1);
        assertThat(console.err()).contains("cpu-a: file does not exist (model_not_found)");

        service.stream(PULL);
        assertThat(run("pull m --node cpu-a")).isEqualTo(6);
        assertThat(console.err()).contains("the pull goes on at cpu-a");

        service.json(400, "{\"error\":{\"message\":\"vllm neither pulls\",\"code\":\"invalid_request\"}}");
        assertThat(run("pull m --node gpu-a")).isEqualTo(5);
        assertThat(console.err()).contains("vllm neither pulls");
    }

    @Test
    void nodes_are_added_and_removed() {
        service.json(201, "{\"name\":\"gpu-b\",\"state\":\"up\",\"backend\":\"vllm\",\"pool\":\"gpu\",\"models\":[]}");
        assertThat(Client.run(
                        console.terminal(),
                        "nodes",
                        "add",
                        "gpu-b",
                        "--backend",
                        "vllm",
                        "--node-url",
                        "http://b:8000",
                        "--key",
                        "env:VLLM_KEY",
                        "--max-in-flight",
                        "8",
                        "--force",
                        "--url",
                        service.url()))
                .isZero();
        assertThat(service.requests())
                .containsExactly("POST /v1/nodes?force=true null {\"name\":\"gpu-b\",\"backend\":\"vllm\","
                        + "\"url\":\"http://b:8000\",\"api-key\":\"env:VLLM_KEY\",\"max-in-flight\":8}");
        assertThat(console.err()).contains("node gpu-b is added");
        assertThat(console.out()).contains("gpu-b  up");

        service.json(202, "{\"name\":\"gpu-b\",\"state\":\"draining\",\"in_flight\":3}");
        assertThat(run("nodes remove gpu-b")).isZero();
        assertThat(service.requests().getLast()).startsWith("DELETE /v1/nodes/gpu-b");
        assertThat(console.err()).contains("node gpu-b is removed once its 3 requests have ended");
    }

    private int run(String line) {
        return Client.run(console.terminal(), (line + " --url " + service.url()).split(" ", -1));
    }
}
