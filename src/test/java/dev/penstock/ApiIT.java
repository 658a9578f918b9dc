package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.sun.net.httpserver.HttpServer;
import dev.penstock.fuzz.Calls;
import dev.penstock.job.EventMark;
import dev.penstock.testkit.Broker;
import dev.penstock.testkit.Chromium;
import dev.penstock.testkit.Http2Frames;
import dev.penstock.testkit.JobSender;
import dev.penstock.testkit.Metrics;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.ReplyLog;
import dev.penstock.testkit.Rest;
import dev.penstock.testkit.Rig;
import dev.penstock.testkit.WireSchemas;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.FakeUpstream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutionException;
import java.util.stream.Stream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The REST API from outside. All output of the service is checked against the published schemas. */
class ApiIT {
    private static final Duration PATIENCE = Duration.ofSeconds(90);
    private static final String JSON = "application/json";
    private static final String CHAT =
            "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],\"metadata\":{\"order\":\"42\"}%s}";

    private static Broker broker;
    private static FakeUpstream fake;
    private static PenstockProcess penstock;
    private static ReplyLog replies;
    private static final WireSchemas SCHEMAS = new WireSchemas();

    @BeforeAll
    static void start() throws InterruptedException {
        broker = Broker.start();
        // an operator has made it, for small jobs
        try (Admin admin = broker.admin()) {
            admin.createTopics(List.of(new NewTopic("prompt-jobs-low", 4, (short) 1)
                            .configs(Map.of("max.message.bytes", "1048576"))))
                    .all()
                    .get();
        } catch (ExecutionException e) {
            throw new IllegalStateException(e);
        }
        fake = FakeUpstream.start();
        penstock = PenstockProcess.with(broker.bootstrap())
                .node("fake", "vllm", URI.create(fake.url()), 8)
                .config("penstock.profiles.fast.vllm", "tiny")
                .config("penstock.timeouts.idle", "1s")
                .config("penstock.api.answer-timeout", "2s")
                .startReady();
        replies = ReplyLog.follow(broker.bootstrap());
    }

    @AfterAll
    static void stop() {
        replies.close();
        penstock.close();
        fake.close();
        broker.close();
    }

    @BeforeEach
    void answerAsUsual() {
        fake.script(_ -> Answer.unicode(20).every(Duration.ofMillis(5)));
    }

    @Test
    void calls_that_fuzzing_has_kept_are_answered_as_the_document_says() {
        assertThat(Calls.wrongAnswersToKept(penstock.url())).isEmpty();
    }

    @Test
    void a_submission_is_answered_with_its_job_and_its_events_fit_the_schemas() throws InterruptedException {
        Rest.Reply reply = Rest.post(penstock.url(), "/v1/jobs", JSON, CHAT.formatted(""));

        assertThat(reply.status()).isEqualTo(202);
        SCHEMAS.check("job-object.schema.json", reply.body());
        String id = reply.json().path("id").asText();
        assertThat(reply.headers().firstValue("Location")).hasValue("/v1/jobs/" + id);
        replies.awaitOutcomes(List.of(id), PATIENCE);
        for (ReplyLog.Event event : replies.all(id)) {
            SCHEMAS.check("event.schema.json", event.value());
        }
        JsonNode outcome = replies.outcome(id).json();
        assertThat(outcome.path("metadata").path("order").asText()).isEqualTo("42");
        assertThat(outcome.path("job").path("attempts").asInt()).isEqualTo(1);
        assertThat(outcome.path("job").has("first_token_ms")).isTrue();
    }

    @Test
    void every_kind_of_outcome_fits_the_schema() throws InterruptedException {
        fake.script(
                request -> request.prompt().equals("stall") ? Answer.tokens(3).stalling() : Answer.refuse(400, "no"));
        List<String> ids = new ArrayList<>();
        ids.add(submit("{\"prompt\":\"stall\",\"job\":{\"id\":\"k-timeout\",\"timeout\":\"PT0.3S\"}}"));
        ids.add(submit("{\"prompt\":\"stall\",\"job\":{\"id\":\"k-expired\",\"deadline\":\"PT0.3S\"}}"));
        ids.add(submit("{\"prompt\":\"stall\",\"job\":{\"id\":\"k-cancelled\"}}"));
        ids.add(submit("{\"prompt\":\"bad\",\"job\":{\"id\":\"k-failed\"}}"));
        ids.add(submit("{\"prompt\":\"x\",\"job\":{\"id\":\"k-nowhere\",\"node\":\"nope\"}}"));
        assertThat(Rest.delete(penstock.url(), "/v1/jobs/k-cancelled").status()).isEqualTo(202);

        replies.awaitOutcomes(ids, PATIENCE);

        List<String> kinds = new ArrayList<>();
        for (String id : ids) {
            kinds.add(replies.outcome(id).mark().kind().wireName());
            for (ReplyLog.Event event : replies.all(id)) {
                SCHEMAS.check("event.schema.json", event.value());
            }
        }
        assertThat(kinds).containsExactly("failed", "expired", "cancelled", "failed", "failed");
    }

    private static String submit(String document) throws InterruptedException {
        SCHEMAS.check("job.schema.json", document);
        Rest.Reply reply = Rest.post(penstock.url(), "/v1/jobs", JSON, document);
        assertThat(reply.status()).as(reply.body()).isEqualTo(202);
        return reply.json().path("id").asText();
    }

    @Test
    void a_submission_that_asks_for_events_gets_them_at_once() throws InterruptedException, IOException {
        List<String> streamed = new ArrayList<>();
        try (Rest.Events events = Rest.submitAndWatch(penstock.url(), CHAT.formatted(""))) {
            assertThat(events.status()).isEqualTo(200);
            for (Rest.SentEvent event = events.next(); event != null; event = events.next()) {
                streamed.add(event.data());
            }
        }

        String id = SCHEMAS.parse(streamed.getFirst()).path("job").path("id").asText();
        replies.awaitOutcomes(List.of(id), PATIENCE);
        assertThat(streamed)
                .isEqualTo(replies.valid(id).stream().map(ReplyLog.Event::value).toList());
        assertThat(penstock.process().output()).noneMatch(line -> line.contains("ERROR"));
    }

    @Test
    void the_same_idempotency_key_names_the_same_job() throws InterruptedException {
        List<String> ids = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            ids.add(Rest.post(penstock.url(), "/v1/jobs", JSON, CHAT.formatted(""), "Idempotency-Key", "order-42")
                    .json()
                    .path("id")
                    .asText());
        }

        assertThat(new TreeSet<>(ids)).hasSize(1);
        replies.awaitOutcomes(ids.subList(0, 1), PATIENCE);
        assertThat(replies.valid(ids.getFirst()).stream()
                        .filter(event -> event.mark().kind().isOutcome()))
                .hasSize(1);
    }

    @Test
    void many_jobs_are_answered_line_by_line_in_order() throws InterruptedException {
        String lines =
                "{\"prompt\":\"a\",\"job\":{\"id\":\"nd-1\"}}\n{\"prompt\":7}\n\n{\"prompt\":\"b\",\"job\":{\"id\":\"nd-2\",\"priority\":\"high\"}}\n";

        Rest.Reply reply = Rest.post(penstock.url(), "/v1/jobs", "application/x-ndjson", lines);

        assertThat(reply.status()).isEqualTo(202);
        List<JsonNode> answers = reply.body().lines().map(SCHEMAS::parse).toList();
        assertThat(answers).hasSize(3);
        assertThat(answers.get(0).path("id").asText()).isEqualTo("nd-1");
        assertThat(answers.get(1).path("error").path("message").asText()).contains("prompt");
        assertThat(answers.get(2).path("priority").asText()).isEqualTo("high");
        replies.awaitOutcomes(List.of("nd-1", "nd-2"), PATIENCE);
        assertThat(replies.all("nd-2")
                        .getFirst()
                        .json()
                        .path("job")
                        .path("record")
                        .path("topic")
                        .asText())
                .isEqualTo("prompt-jobs-high");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            application/json | {"prompt":7}                                        | 400 | invalid_request        | prompt
            application/json | {"prompt":"a","job":{"priority":"urgent"}}          | 400 | invalid_request        | job.priority
            application/json | {"prompt":                                          | 400 | invalid_request        | not valid JSON
            text/plain       | hello                                               | 415 | unsupported_media_type | application/json
            """)
    void a_bad_submission_is_told_what_is_wrong(String type, String body, int status, String code, String words)
            throws InterruptedException {
        Rest.Reply reply = Rest.post(penstock.url(), "/v1/jobs", type, body);

        assertThat(reply.status()).isEqualTo(status);
        assertThat(reply.code()).isEqualTo(code);
        assertThat(reply.json().path("error").path("message").asText()).contains(words);
        SCHEMAS.check("error.schema.json", reply.body());
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

    /**
     * A record that is due in 292 million years would block all records behind it. A job that was created then has no
     * deadline that can be computed.
     */
    @Test
    void a_strange_record_among_the_deferred_jobs_is_counted_once_and_passed_over() throws InterruptedException {
        String topic = "prompt-jobs-deferred";
        String never = Long.toString(Long.MAX_VALUE);
        try (JobSender jobs = new JobSender(broker.bootstrap())) {
            for (List<String> times : List.of(List.of("0", never), List.of(never, "0"), List.of("x", "y"))) {
                ProducerRecord<byte[], byte[]> record =
                        new ProducerRecord<>(topic, 1, null, "{\"prompt\":\"x\"}".getBytes(StandardCharsets.UTF_8));
                record.headers()
                        .add("job-id", "strange".getBytes(StandardCharsets.UTF_8))
                        .add("penstock-origin", "prompt-jobs/0/1000000".getBytes(StandardCharsets.UTF_8))
                        .add("penstock-created-at", times.getFirst().getBytes(StandardCharsets.UTF_8))
                        .add("penstock-not-before", times.getLast().getBytes(StandardCharsets.UTF_8));
                jobs.send(record);
            }
            jobs.flush();
        }

        Metrics.await(penstock, "penstock_deferred_strange_total", 3, PATIENCE);
        assertThat(penstock.process().output()).noneMatch(line -> line.contains("could not be handled"));
    }

    @Test
    void a_job_larger_than_the_limit_is_refused() throws InterruptedException {
        Rest.Reply reply =
                Rest.post(penstock.url(), "/v1/jobs", JSON, "{\"prompt\":\"" + "x".repeat(8_400_000) + "\"}");

        assertThat(reply.status()).isEqualTo(413);
        assertThat(reply.code()).isEqualTo("too_large");
    }

    @Test
    void a_job_larger_than_its_topic_takes_is_refused_with_the_topics_own_limit() throws InterruptedException {
        // random bytes: compression makes them no smaller
        byte[] random = new byte[2_200_000];
        new Random(1).nextBytes(random);
        String large = "{\"prompt\":\"%s\",\"job\":{\"priority\":\"low\"}}"
                .formatted(Base64.getEncoder().encodeToString(random));

        Rest.Reply reply = Rest.post(penstock.url(), "/v1/jobs", JSON, large);
        Rest.Reply lines = Rest.post(
                penstock.url(),
                "/v1/jobs",
                "application/x-ndjson",
                large + "\n{\"prompt\":\"a\",\"job\":{\"id\":\"beside-large\",\"priority\":\"low\"}}\n");

        assertThat(reply.status()).as(reply.body()).isEqualTo(413);
        assertThat(lines.status()).isEqualTo(202);
        List<JsonNode> answers = lines.body().lines().map(SCHEMAS::parse).toList();
        for (JsonNode refused : List.of(reply.json(), answers.getFirst())) {
            assertThat(refused.at("/error/code").asText()).isEqualTo("too_large");
            assertThat(refused.at("/error/message").asText())
                    .contains("topic prompt-jobs-low", "max.message.bytes", "1048576");
        }
        assertThat(answers.getFirst().path("line").asInt()).isEqualTo(1);
        assertThat(answers.getLast().path("status").asText()).isEqualTo("queued");
        replies.awaitOutcomes(List.of("beside-large"), PATIENCE);
    }

    @Test
    void lines_are_answered_with_their_outcomes_where_the_caller_waits() throws InterruptedException {
        fake.script(request -> request.prompt().equals("stall")
                ? Answer.tokens(3).stallBeforeResponse()
                : Answer.unicode(20).every(Duration.ofMillis(5)));
        String lines =
                "{\"prompt\":\"a\",\"job\":{\"id\":\"wait-1\"}}\n{\"prompt\":7}\n{\"prompt\":\"b\",\"job\":{\"id\":\"wait-2\"}}\n";

        Rest.Reply reply = manyWaiting(lines, 30);
        Rest.Reply again = manyWaiting(lines, 30);
        Rest.Reply tooShort = manyWaiting(lines + "{\"prompt\":\"stall\",\"job\":{\"id\":\"wait-3\"}}\n", 1);

        for (Rest.Reply all : List.of(reply, again, tooShort)) {
            assertThat(all.status()).as(all.body()).isEqualTo(all.equals(tooShort) ? 202 : 200);
            assertThat(all.headers().firstValue("Preference-Applied")).isPresent();
            List<JsonNode> answers = all.body().lines().map(SCHEMAS::parse).toList();
            assertThat(answers.get(0).path("status").asText()).isEqualTo("completed");
            assertThat(answers.get(1).path("line").asInt()).isEqualTo(2);
            assertThat(answers.get(1).at("/error/message").asText()).startsWith("line 2: ");
            assertThat(answers.get(2).path("status").asText()).isEqualTo("completed");
            assertThat(answers.get(2).path("id").asText()).isEqualTo("wait-2");
        }
        assertThat(SCHEMAS.parse(tooShort.body().lines().toList().getLast())
                        .path("status")
                        .asText())
                .isIn("queued", "running");
        assertThat(Rest.delete(penstock.url(), "/v1/jobs/wait-3").status()).isEqualTo(202);
        replies.awaitOutcomes(List.of("wait-3"), PATIENCE);
        assertThat(List.of("wait-1", "wait-2"))
                .allSatisfy(id ->
                        assertThat(replies.count(id, EventMark.Kind.STARTED)).isEqualTo(1));
    }

    private static Rest.Reply manyWaiting(String lines, int seconds) throws InterruptedException {
        return Rest.post(penstock.url(), "/v1/jobs", "application/x-ndjson", lines, "Prefer", "wait=" + seconds);
    }

    @Test
    void what_needs_kafka_is_refused_at_once_while_it_is_known_to_be_away() throws InterruptedException {
        try (PenstockProcess alone = PenstockProcess.with("127.0.0.1:" + Broker.freePort())
                .node("fake", "vllm", URI.create(fake.url()), 8)
                .start()) {
            String warning = alone.process().awaitLine(line -> line.contains("does not answer"), PATIENCE);
            assertThat(warning).contains("WARN", "127.0.0.1:", "KAFKA_BOOTSTRAP_SERVERS");
            String lines = "{\"prompt\":\"a\"}\n{\"prompt\":\"b\"}\n";
            long begun = System.nanoTime();
            List<Rest.Reply> refused = List.of(
                    Rest.post(alone.url(), "/v1/jobs", JSON, CHAT.formatted("")),
                    Rest.post(alone.url(), "/v1/jobs", JSON, CHAT.formatted(""), "Prefer", "wait=30"),
                    Rest.post(alone.url(), "/v1/jobs", JSON, CHAT.formatted(""), "Accept", "text/event-stream"));
            Rest.Reply many = Rest.post(alone.url(), "/v1/jobs", "application/x-ndjson", lines, "Prefer", "wait=30");
            double seconds = Rig.seconds(begun);

            System.out.printf("four submissions while Kafka is known to be away: %.2f s%n", seconds);
            assertThat(seconds).isLessThan(5);
            assertThat(refused).allSatisfy(reply -> {
                assertThat(reply.status()).as(reply.body()).isEqualTo(503);
                assertThat(reply.code()).isEqualTo("broker_unavailable");
                assertThat(reply.headers().firstValue("Retry-After")).isPresent();
                assertThat(reply.body()).contains("nothing was sent");
            });
            assertThat(many.body().lines().map(SCHEMAS::parse).toList())
                    .hasSize(2)
                    .allSatisfy(
                            line -> assertThat(line.at("/error/code").asText()).isEqualTo("broker_unavailable"));
            alone.kill9();
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

    /** A replica of another test may have its share of the jobs for a moment longer. */
    private static void awaitAllSlots() throws InterruptedException {
        Metrics.await(penstock, "penstock_node_slots{node=\"fake\"}", 8, PATIENCE);
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
