package dev.penstock.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.cli.rest.ScriptedHttpServer;
import dev.penstock.cli.view.Console;
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
                "submit --timeout soon x",
                "submit --retry-failed x",
                "get a --wait 2m",
                "cancel a --status queued",
                "cancel --status completed",
                "cancel --dry-run a",
                "cancel --kafka a:1 --status queued",
                "help nonsense",
                "list --metadata order",
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
    void a_wrong_command_line_is_reported_in_one_line(String line) {
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
                "help",
                "help nodes add",
                "route -h",
                "doctor -h"
            })
    void every_command_is_documented_with_its_exit_codes(String line) {
        assertThat(run(line)).isZero();
        assertThat(console.out()).contains("Usage:", "Exit codes:", "130");
    }

    @Test
    void the_version_is_printed() {
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
        try (ScriptedHttpServer service = new ScriptedHttpServer()) {
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
        try (ScriptedHttpServer service = new ScriptedHttpServer()) {
            service.json(200, "{\"data\":[{\"id\":\"m\",\"owned_by\":\"ollama\"}]}");

            assertThat(run("models --url " + service.url())).isZero();
            assertThat(console.out()).isEqualTo("MODEL  FROM\nm      ollama\n");
        }
    }

    @Test
    void jobs_are_cancelled_by_their_ids_and_one_refusal_stops_none() throws Exception {
        try (ScriptedHttpServer service = new ScriptedHttpServer()) {
            service.json(202, "{\"id\":\"a\",\"status\":\"cancelling\"}");
            service.json(404, "{\"error\":{\"message\":\"job 'b' not found\",\"code\":\"not_found\"}}");
            service.json(200, "{\"id\":\"c\",\"status\":\"completed\"}");

            assertThat(run("cancel a b c --url " + service.url())).isEqualTo(5);
            assertThat(service.requests())
                    .extracting(request -> request.split(" ", -1)[1])
                    .containsExactly("/v1/jobs/a", "/v1/jobs/b", "/v1/jobs/c");
            assertThat(console.err())
                    .contains(
                            "job a is being cancelled",
                            "job b: job 'b' not found",
                            "job c had ended already: completed");
        }
    }

    @Test
    void jobs_are_cancelled_by_what_they_have_in_common() throws Exception {
        try (ScriptedHttpServer service = new ScriptedHttpServer()) {
            for (int i = 0; i < 2; i++) {
                service.json(200, "{\"data\":[{\"id\":\"a\"}],\"next\":\"c\"}");
                service.json(200, "{\"data\":[{\"id\":\"b\"}],\"next\":null}");
            }
            service.json(202, "{\"status\":\"cancelling\"}").json(202, "{\"status\":\"cancelling\"}");
            String filters = "--status queued --model m --since 1h --metadata order=4+2 --url " + service.url();

            assertThat(run("cancel --dry-run " + filters)).isZero();
            assertThat(console.out()).isEqualTo("a\nb\n");
            assertThat(console.err()).contains("2 jobs would be cancelled");

            assertThat(run("cancel " + filters)).isZero();
            String list = "GET /v1/jobs?limit=100&status=queued&model=m&since=1h&metadata.order=4%2B2";
            assertThat(service.requests())
                    .extracting(request -> request.replace(" null", ""))
                    .containsExactly(
                            list, list + "&after=c", list, list + "&after=c", "DELETE /v1/jobs/a", "DELETE /v1/jobs/b");
        }
    }

    @Test
    void the_shells_script_of_completions_knows_every_command() {
        assertThat(run("completion")).isZero();
        assertThat(console.out()).contains("complete -F _complete_penstock", "--retry-failed", "\"submit", "intake");
    }

    private int run(String line) {
        return Client.run(console.terminal(), line.split(" ", -1));
    }
}
