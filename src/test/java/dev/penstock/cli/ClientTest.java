package dev.penstock.cli;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ClientTest {
    private final Console console = new Console("Hi\n");

    @ParameterizedTest
    @ValueSource(
            strings = {
                "nonsense",
                "submit",
                "submit --nonsense x",
                "submit --kafka a:1 --url http://b x",
                "submit --url ftp://b x",
                "submit --max-tokens 0 x",
                "submit --timeout 5m x",
                "submit --priority urgent x",
                "submit --file jobs.ndjson",
                "submit --file /nowhere/jobs.ndjson --out results.ndjson",
                "submit --out results.ndjson x",
                "pull",
                "pull m --node a --pool b",
                "nodes add a",
                "nodes remove",
                "watch",
                "watch a/b",
                "cancel"
            })
    void a_wrong_command_line_is_told_in_one_line(String line) {
        assertThat(run(line)).isEqualTo(2);
        assertThat(console.out()).isEmpty();
        assertThat(console.err()).startsWith("penstock: ").hasLineCount(1).contains("--help");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "--help",
                "submit --help",
                "watch --help",
                "cancel --help",
                "nodes -h",
                "nodes add -h",
                "models -h",
                "pull -h",
                "doctor -h"
            })
    void every_command_is_documented_with_its_exit_codes(String line) {
        assertThat(run(line)).isZero();
        assertThat(console.out()).contains("Usage:", "Exit codes:", "130");
    }

    @Test
    void the_version_is_told() {
        assertThat(run("--version")).isZero();
        assertThat(console.out()).startsWith("penstock ");
    }

    @Test
    void a_service_that_is_not_there() {
        assertThat(run("nodes --url http://127.0.0.1:1")).isEqualTo(6);
        assertThat(console.err()).contains("http://127.0.0.1:1 cannot be reached: is Penstock running there?");
        assertThat(run("submit --url http://127.0.0.1:1/v1/ x")).isEqualTo(6);
    }

    @Test
    void a_prompt_from_stdin_answered_over_rest() throws Exception {
        try (ScriptedService service = new ScriptedService()) {
            service.stream("""
                    event: failed
                    data: {"job":{"event":"failed","seq":0,"attempt":0,"run":"r"},"error":{"message":"no","code":"lost"}}

                    """);

            assertThat(run("submit --id j -m fast --url " + service.url() + " -"))
                    .isEqualTo(1);
            assertThat(service.requests())
                    .containsExactly("POST /v1/jobs null {\"messages\":[{\"role\":\"user\","
                            + "\"content\":\"Hi\"}],\"model\":\"fast\",\"job\":{\"id\":\"j\"}}");
            assertThat(console.out()).isEmpty();
            assertThat(console.err()).contains("job j failed: no (lost)");
        }
    }

    @Test
    void tables() throws Exception {
        try (ScriptedService service = new ScriptedService()) {
            service.json(200, "{\"data\":[{\"id\":\"m\",\"owned_by\":\"ollama\"}]}");

            assertThat(run("models --url " + service.url())).isZero();
            assertThat(console.out()).isEqualTo("MODEL  FROM\nm      ollama\n");
        }
    }

    private int run(String line) {
        return Client.run(console.terminal(), line.split(" ", -1));
    }
}
