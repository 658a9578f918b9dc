package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.sun.net.httpserver.HttpServer;
import dev.penstock.fuzz.Calls;
import dev.penstock.testkit.Chromium;
import dev.penstock.testkit.Http2Frames;
import dev.penstock.testkit.Metrics;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.Rest;
import dev.penstock.testkit.WireSchemas;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * The REST API from outside: submissions, which are inherited, and all other calls. All output of the service is checked
 * against the published schemas.
 */
class ApiIT extends ApiSubmissions {
    @Test
    void calls_that_fuzzing_has_kept_are_answered_as_the_document_says() {
        assertThat(Calls.wrongAnswersToKept(penstock.url())).isEmpty();
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            POST /v1/nodes          | Host: localhost                                            | 415
            POST /v1/nodes          | Host: localhost & Content-Type: text/plain                 | 415
            DELETE /v1/jobs/a       | Host: localhost                                            | 404
            POST /v1/dlq/0-0/retry  | Host: localhost & Content-Type: garbage                    | 415
            POST /v1/nodes          | Host: localhost & Origin: http://a.example & Content-Type: application/json | 403
            GET /q/swagger-ui/      | Host: localhost & Sec-Fetch-Site: cross-site               | 403
            GET /q/openapi          | Host: a.example                                            | 403
            GET /v1/nodes           | Host: localhost & Host: localhost                          | 400
            GET /v1/nodes           | Host: localhost & Content-Type: garbage                    | 200
            POST /v1/jobs           | Host: localhost & Content-Type: garbage                    | 415
            POST /v1/jobs           | Host: localhost & Content-Type: application/json & Idempotency-Key: | 400
            DELETE /v1/nodes/fake/models/.. | Host: localhost & Content-Type: application/json   | 400
            DELETE /v1/nodes/fake/models/%2e%2e | Host: localhost & Content-Type: application/json | 400
            DELETE /v1/nodes/fake%2Fmodels | Host: localhost & Content-Type: application/json    | 404
            GET /v1/jobs/a%2Fevents | Host: localhost                                            | 400
            GET /v1/jobs/%zz        | Host: localhost                                            | 400
            GET /q/health/live      | Host: localhost & Content-Type: garbage                    | 404
            GET /v1/nodes           | Host: localhost & Accept: garbage                          | 406
            """)
    void a_call_that_a_web_page_could_send_or_is_garbled_is_refused(String call, String headers, int status) {
        String answer = Rest.raw(
                penstock.url(),
                Stream.concat(Stream.of(call + " HTTP/1.1"), Stream.of(headers.split(" & ")))
                        .toArray(String[]::new));

        assertThat(answer).startsWith("HTTP/1.1 " + status + " ");
        assertThat(penstock.process().output()).noneMatch(line -> line.contains("ERROR") || line.contains("\tat "));
    }

    @Test
    void on_loopback_the_management_port_wants_a_host_of_loopback() {
        String live = "GET /q/health/live HTTP/1.1";

        assertThat(Rest.raw(penstock.managementUrl(), live, "Host: a.example")).startsWith("HTTP/1.1 403 ");
        assertThat(Rest.raw(penstock.managementUrl(), live, "Host: 127.0.0.1:1"))
                .startsWith("HTTP/1.1 200 ");
        assertThat(Rest.raw(penstock.managementUrl(), "GET /q/health/live HTTP/1.0"))
                .contains(" 200 ");
    }

    /** The page's own server, by another name, gets what the page waits for: so it was sent. */
    @Test
    void a_web_page_changes_nothing_and_swagger_ui_works() throws InterruptedException, IOException {
        Chromium chromium = Chromium.installed();
        List<String> arrived = new CopyOnWriteArrayList<>();
        HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        int port = server.getAddress().getPort();
        String page = Objects.requireNonNull(ApiIT.class.getResource("/web/foreign-page.html"), "the page")
                .getFile();
        byte[] html = Files.readString(Path.of(page))
                .replace("SERVICE", penstock.url().toString())
                .replace("WITNESS", "http://localhost:" + port)
                .getBytes(StandardCharsets.UTF_8);
        server.createContext("/", exchange -> {
            try (exchange) {
                arrived.add("%s %s".formatted(exchange.getRequestMethod(), exchange.getRequestURI()));
                exchange.getResponseHeaders().set("Content-Type", "text/html; charset=utf-8");
                exchange.sendResponseHeaders(200, html.length);
                exchange.getResponseBody().write(html);
            }
        });
        server.start();
        try {
            String shown = chromium.show(URI.create("http://127.0.0.1:" + port + "/page"));
            assertThat(shown).contains("all sent");
        } finally {
            server.stop(0);
        }
        assertThat(arrived)
                .contains(
                        "POST /v1/nodes?force=true&kind=blob",
                        "POST /v1/nodes?force=true&kind=text",
                        "POST /v1/nodes?force=true&kind=form");
        assertThat(Rest.get(penstock.url(), "/v1/nodes").json().path("data").findValuesAsText("name"))
                .containsExactly("fake");

        int service = penstock.url().getPort();
        assertThat(chromium.show(
                        URI.create("http://a.example:" + service + "/v1/nodes"),
                        "--host-resolver-rules=MAP a.example 127.0.0.1"))
                .contains("penstock.api.allowed-hosts")
                .doesNotContain("vllm");
        assertThat(chromium.show(penstock.url().resolve("/q/swagger-ui/"))).contains("/v1/jobs/{id}");
    }

    /** The answer waits for a window that stays shut, and not in the connection's own buffer. */
    @Test
    void a_caller_of_http_2_that_takes_nothing_of_its_answer_loses_it() throws IOException {
        try (Socket socket = new Socket(penstock.url().getHost(), penstock.url().getPort())) {
            socket.setSoTimeout((int) PATIENCE.toMillis());
            socket.getOutputStream().write(Http2Frames.preface(0));
            socket.getOutputStream().write(Http2Frames.get(1, "/v1/nodes"));
            socket.getOutputStream().write(Http2Frames.get(3, "/q/openapi"));

            Set<Integer> ended = new HashSet<>();
            while (ended.size() < 2) {
                Http2Frames.Frame frame = Http2Frames.read(socket.getInputStream());
                assertThat(frame.type() == Http2Frames.DATA && frame.length() > 0)
                        .as("%s", frame)
                        .isFalse();
                if (frame.type() == Http2Frames.RST_STREAM) {
                    ended.add(frame.stream());
                }
            }
            assertThat(ended).containsExactlyInAnyOrder(1, 3);
        }
    }

    @Test
    void nodes_and_models() throws InterruptedException {
        awaitAllSlots();
        Rest.Reply nodes = Rest.get(penstock.url(), "/v1/nodes");
        assertThat(nodes.json().path("data")).hasSize(1);
        SCHEMAS.check(
                "node-object.schema.json", nodes.json().path("data").get(0).toString());
        assertThat(Rest.get(penstock.url(), "/v1/nodes/fake")
                        .json()
                        .path("limit")
                        .asInt())
                .isEqualTo(8);
        Rest.Reply unknown = Rest.get(penstock.url(), "/v1/nodes/nope");
        assertThat(unknown.status()).isEqualTo(404);
        assertThat(unknown.json().path("error").path("message").asText())
                .isEqualTo("node 'nope' not found. Available: fake");
        assertThat(Rest.get(penstock.url(), "/v1/models").json().path("data").findValuesAsText("id"))
                .containsExactly("fast", "tiny");
        assertThat(Rest.get(penstock.url(), "/v1/models/tiny").status()).isEqualTo(200);
        assertThat(Rest.get(penstock.url(), "/v1/models/nope").status()).isEqualTo(404);
    }

    @Test
    void a_stream_of_an_unknown_place_is_refused_and_an_unknown_path_told() throws InterruptedException {
        try (Rest.Events events = Rest.events(penstock.url(), "x", "nonsense")) {
            assertThat(events.status()).isEqualTo(400);
        }
        assertThat(Rest.get(penstock.url(), "/v1/nothing").status()).isEqualTo(404);
        assertThat(Rest.get(penstock.url(), "/v1/nothing").code()).isEqualTo("not_found");
        assertThat(Rest.delete(penstock.url(), "/v1/jobs/not%20an%20id").status())
                .isEqualTo(400);
    }

    @Test
    void health_metrics_and_the_api_description_are_served() throws InterruptedException {
        for (String probe : List.of("live", "ready", "started")) {
            assertThat(Rest.get(penstock.managementUrl(), "/q/health/" + probe).status())
                    .as(probe)
                    .isEqualTo(200);
        }
        submit("{\"prompt\":\"x\",\"job\":{\"id\":\"for-metrics\"}}");
        replies.awaitOutcomes(List.of("for-metrics"), PATIENCE);
        Metrics.await(penstock, "penstock_node_up{node=\"fake\"}", 1, PATIENCE);
        awaitAllSlots();
        assertThat(Metrics.text(penstock))
                .contains(
                        "penstock_jobs_total{backend=\"vllm\",outcome=\"completed\",pool=\"gpu\",task=\"completion\"}",
                        "penstock_jobs_in_flight{node=\"fake\"}",
                        "penstock_jobs_waiting{priority=\"high\"}",
                        "penstock_queue_lag{topic=\"prompt-jobs\"}",
                        "penstock_job_queue_seconds_count",
                        "gen_ai_server_time_to_first_token_seconds_bucket",
                        "penstock_attempts_total{node=\"fake\",outcome=\"completed\"}");
        assertThat(Rest.get(penstock.url(), "/q/swagger-ui/").status()).isEqualTo(200);
    }

    @Test
    void the_published_description_is_served_as_json_and_as_yaml() throws InterruptedException {
        JsonNode served =
                SCHEMAS.parse(Rest.get(penstock.url(), "/q/openapi?format=json").body());

        assertThat(WireSchemas.operations(served)).isEqualTo(SCHEMAS.publishedOperations());
        assertThat(served.at("/components/schemas/Job/examples").isEmpty()).isFalse();
        Rest.Reply yaml = Rest.get(penstock.url(), "/q/openapi");
        assertThat(yaml.body()).startsWith("openapi: \"3.1.0\"").contains("operationId: \"listJobs\"");
    }

    @Test
    void an_unknown_query_parameter_is_refused_and_filters_are_combined() throws InterruptedException {
        Rest.Reply refused = Rest.get(penstock.url(), "/v1/jobs?stat=queued");
        assertThat(refused.status()).isEqualTo(400);
        assertThat(refused.code()).isEqualTo("invalid_request");
        assertThat(refused.body()).contains("Did you mean status?");
        submit(
                "{\"prompt\":\"x\",\"metadata\":{\"order\":\"4+2\"},\"job\":{\"id\":\"for-filters\",\"timeout\":\"5m\"}}");
        replies.awaitOutcomes(List.of("for-filters"), PATIENCE);
        String of = "/v1/jobs?metadata.order=4%2B2&since=1h&node=fake";
        Rest.get(penstock.url(), "/v1/jobs/for-filters");
        assertThat(Rest.get(penstock.url(), of).body()).contains("\"id\":\"for-filters\"");
        for (String other : List.of(
                "/v1/jobs?metadata.order=x",
                "/v1/jobs?metadata.order=4%2B2&until=1h",
                "/v1/jobs?metadata.order=4%2B2&node=other",
                "/v1/jobs?metadata.order=4%2B2&code=timeout")) {
            assertThat(Rest.get(penstock.url(), other).body()).as(other).contains("\"data\":[]");
        }
    }

    @Test
    void without_a_word_on_who_may_call_the_api_listens_on_loopback_only() throws InterruptedException {
        penstock.process().awaitLine(line -> line.contains("Listening on: http://127.0.0.1:"), PATIENCE);
        try (PenstockProcess open = PenstockProcess.with(broker.bootstrap())
                .config("penstock.auth.mode", "none")
                .config("penstock.intake.enabled", "false")
                .config("penstock.ledger.kind", "none")
                .startReady()) {
            open.process().awaitLine(line -> line.contains("Listening on: http://0.0.0.0:"), PATIENCE);
        }
    }

    @Test
    void a_second_replica_with_sqlite_refuses_to_start_and_says_what_to_do() throws InterruptedException {
        try (PenstockProcess second =
                PenstockProcess.with(broker.bootstrap()).name("second").start()) {
            assertThat(second.process().awaitExit(PATIENCE)).hasValue(1);
            assertThat(String.join("\n", second.process().output()))
                    .contains("SQLite serves one replica", "penstock.ledger.kind=postgresql")
                    .doesNotContain("\tat ");
        }
    }

    @Test
    void without_a_ledger_polling_answers_503_and_says_why() throws InterruptedException {
        try (PenstockProcess without = PenstockProcess.with(broker.bootstrap())
                .config("penstock.ledger.kind", "none")
                .startReady()) {
            for (String path : List.of("/v1/jobs/any", "/v1/jobs")) {
                Rest.Reply reply = Rest.get(without.url(), path);
                assertThat(reply.status()).isEqualTo(503);
                assertThat(reply.code()).isEqualTo("ledger_unavailable");
                assertThat(reply.headers().firstValue("Retry-After")).isPresent();
                assertThat(reply.body()).contains("penstock.ledger.kind is none");
            }
            assertThat(Rest.delete(without.url(), "/v1/jobs/any").status()).isEqualTo(202);
        }
    }

    @Test
    void a_mistake_in_the_configuration_stops_the_start_with_every_one_listed() throws InterruptedException {
        try (PenstockProcess wrong = PenstockProcess.with(broker.bootstrap())
                .config("penstock.nodes.a.backend", "vlm")
                .config("penstock.nodes.a.url", "nowhere")
                .config("penstock.intake.slots", "0")
                .start()) {
            assertThat(wrong.process().awaitExit(PATIENCE)).hasValue(1);
            String said = String.join("\n", wrong.process().output());
            assertThat(said)
                    .contains("penstock.nodes.a.backend", "penstock.nodes.a.url", "penstock.intake.slots")
                    .doesNotContain("\tat ");
        }
    }
}
