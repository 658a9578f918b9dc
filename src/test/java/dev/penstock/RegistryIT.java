package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.EventMark;
import dev.penstock.testkit.Broker;
import dev.penstock.testkit.JobSender;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.ReplyLog;
import dev.penstock.testkit.Rest;
import dev.penstock.testkit.WireSchemas;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.FakeUpstream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Stream;
import org.assertj.core.api.Assertions;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Two replicas with a node of the file. Further nodes are added and removed over REST. */
class RegistryIT {
    private static final Duration PATIENCE = Duration.ofSeconds(60);
    private static final String JSON = "application/json";
    private static final WireSchemas SCHEMAS = new WireSchemas();

    private static Broker broker;
    private static FakeUpstream file;
    private static FakeUpstream extra;
    private static PenstockProcess first;
    private static PenstockProcess second;
    private static ReplyLog replies;

    @BeforeAll
    static void start() throws InterruptedException {
        broker = Broker.start();
        file = FakeUpstream.start();
        extra = FakeUpstream.start();
        first = replica("first").startReady();
        second = replica("second").startReady();
        replies = ReplyLog.follow(broker.bootstrap());
    }

    private static PenstockProcess.Builder replica(String name) {
        return PenstockProcess.with(broker.bootstrap())
                .name(name)
                .node("gpu-a", "vllm", URI.create(file.url()), 2 * 4)
                .environment("PENSTOCK_SECRET_EXTRA", "sk-extra-secret")
                .config("penstock.ledger.kind", "none");
    }

    @AfterAll
    static void stop() {
        replies.close();
        first.close();
        second.close();
        file.close();
        extra.close();
        broker.close();
    }

    @BeforeEach
    void answersAreShort() {
        extra.models("extra-model");
        for (FakeUpstream fake : List.of(file, extra)) {
            fake.script(_ -> Answer.tokens(5));
            fake.reset();
        }
    }

    @Test
    void an_added_node_serves_jobs_at_every_replica_over_restarts_until_it_is_removed() throws InterruptedException {
        Rest.Reply added = add(
                first, "{\"name\":\"extra\",%s,\"api-key\":\"env:PENSTOCK_SECRET_EXTRA\"}".formatted(extraServer()));

        assertThat(added.status()).as(added.body()).isEqualTo(201);
        assertThat(added.headers().firstValue("Location")).contains("/v1/nodes/extra");
        SCHEMAS.check("node-object.schema.json", added.body());
        assertThat(added.json().path("state").asText()).isEqualTo("up");
        assertThat(added.json().path("models").path(0).path("id").asText()).isEqualTo("extra-model");
        awaitNode(second, "extra", "up", Duration.ofSeconds(5));
        assertThat(add(second, "{\"name\":\"extra\",%s}".formatted(extraServer()))
                        .status())
                .isEqualTo(409);

        assertThat(run("added", "\"node\":\"extra\"")
                        .json()
                        .path("job")
                        .path("node")
                        .asText())
                .isEqualTo("extra");
        assertThat(extra.requests().getFirst().request().headers())
                .containsEntry("authorization", "Bearer sk-extra-secret");
        assertThat(first.process().output()).noneMatch(line -> line.contains("sk-extra-secret"));

        second.close();
        second = replica("second").start();
        second.awaitReady(PATIENCE);
        assertThat(Rest.get(second.url(), "/v1/nodes/extra").status()).isEqualTo(200);

        assertThat(Rest.delete(second.url(), "/v1/nodes/extra").status()).isEqualTo(202);
        awaitGone(first, "extra");
        awaitGone(second, "extra");
        Rest.Reply elsewhere = add(
                first,
                "{\"name\":\"extra\",\"backend\":\"vllm\",\"url\":\"%s\",\"api-key\":\"env:PENSTOCK_SECRET_EXTRA\"}"
                        .formatted(file.url()));
        assertThat(elsewhere.status()).as(elsewhere.body()).isEqualTo(400);
        assertThat(elsewhere.body()).contains("penstock.auth.secret-hosts");
        assertThat(file.requests()).noneMatch(seen -> seen.request().headers().containsValue("Bearer sk-extra-secret"));
        assertThat(run("gone", "\"node\":\"extra\"")
                        .json()
                        .path("error")
                        .path("code")
                        .asText())
                .isEqualTo("no_node");
    }

    @Test
    void a_removed_node_ends_what_it_runs_and_begins_nothing_else() throws InterruptedException {
        assertThat(add(first, "{\"name\":\"leaving\",%s}".formatted(extraServer()))
                        .status())
                .isEqualTo(201);
        awaitNode(second, "leaving", "up", PATIENCE);
        AtomicBoolean mayEnd = new AtomicBoolean();
        extra.script(_ -> Answer.tokens(2_000).everyNanos(() -> mayEnd.get() ? 0 : 20_000_000));
        send("runs", "\"node\":\"leaving\"");
        extra.awaitInFlight(1, PATIENCE);

        Rest.Reply removed = Rest.delete(first.url(), "/v1/nodes/leaving");

        assertThat(removed.status()).as(removed.body()).isEqualTo(202);
        SCHEMAS.check("node-object.schema.json", removed.body());
        PenstockProcess holder = Stream.of(first, second)
                .filter(replica -> "draining".equals(state(replica, "leaving")))
                .findFirst()
                .orElse(first);
        assertThat(run("too-late", "\"node\":\"leaving\"")
                        .json()
                        .path("error")
                        .path("message")
                        .asText())
                .contains("node 'leaving' not found", "gpu-a");
        assertThat(state(holder, "leaving")).as("while it drains").isEqualTo("draining");
        mayEnd.set(true);
        replies.awaitOutcomes(List.of("runs"), PATIENCE);
        assertThat(replies.outcome("runs").mark().kind()).isEqualTo(EventMark.Kind.COMPLETED);
        assertThat(replies.outcome("runs").mark().attempt()).isEqualTo(1);
        awaitGone(first, "leaving");
        awaitGone(second, "leaving");
        assertThat(extra.stats().requests()).isEqualTo(1);
    }

    @Test
    void of_two_who_add_the_same_name_at_once_one_is_told_that_it_is_taken() throws Exception {
        try (ExecutorService both = Executors.newVirtualThreadPerTaskExecutor()) {
            List<Future<Rest.Reply>> replies = List.of(
                    both.submit(() -> add(first, "{\"name\":\"race\",%s,\"pool\":\"one\"}".formatted(extraServer()))),
                    both.submit(() -> add(second, "{\"name\":\"race\",%s,\"pool\":\"two\"}".formatted(extraServer()))));

            assertThat(replies.stream().map(RegistryIT::status)).containsExactlyInAnyOrder(201, 409);
        }
        String pool =
                Rest.get(first.url(), "/v1/nodes/race").json().path("pool").asText();
        awaitNode(second, "race", "up", PATIENCE);
        assertThat(Rest.get(second.url(), "/v1/nodes/race").json().path("pool").asText())
                .isEqualTo(pool);
        assertThat(Rest.delete(first.url(), "/v1/nodes/race").status()).isEqualTo(202);
        awaitGone(second, "race");
    }

    private static int status(Future<Rest.Reply> reply) {
        try {
            return reply.get().status();
        } catch (InterruptedException | ExecutionException e) {
            return Assertions.fail(e);
        }
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            {"name":"gpu-a","backend":"vllm","url":"http://127.0.0.1:1"} | 409 | id_conflict      | node 'gpu-a' already
            {"name":"x","backend":"vllm","url":"http://127.0.0.1:1"}     | 502 | node_unreachable | refused the connection
            {"name":"x","backend":"vlm","url":"a"}                       | 400 | invalid_request  | 2 mistakes
            {"name":"x","backend":"vllm","url":"http://a","api-key":"k"} | 400 | invalid_request  | by reference only
            {"name":"x","backend":"vllm","url":"http://a","api-key":"env:KAFKA_BOOTSTRAP_SERVERS"} | 400 | invalid_request | no key for this node is found
            {"name":"x","backend":"vllm","url":"http://a","api-key":"file:/etc/passwd"} | 400 | invalid_request | no key for this node is found
            {"name":"x","backend":"llama-cli","url":"http://a"}          | 400 | invalid_request  | starts a process
            {"name":"a b","backend":"vllm","url":"http://a"}             | 400 | invalid_request  | 1 to 64 characters
            {"backend":"vllm","url":"http://a"}                          | 400 | invalid_request  | name: is missing
            [1]                                                          | 400 | invalid_request  | expected a JSON object
            """)
    void a_node_that_cannot_be_added_is_refused_with_the_reason(String body, int status, String code, String message)
            throws InterruptedException {
        Rest.Reply reply = add(first, body);

        assertThat(reply.status()).as(reply.body()).isEqualTo(status);
        assertThat(reply.code()).isEqualTo(code);
        assertThat(reply.json().path("error").path("message").asText()).contains(message);
        assertThat(Rest.get(first.url(), "/v1/nodes/x").status()).isEqualTo(404);
    }

    @Test
    void force_adds_a_node_that_is_down_and_it_is_used_once_it_is_there() throws InterruptedException {
        extra.stop();
        String body = "{\"name\":\"later\",%s}".formatted(extraServer());
        assertThat(add(first, body).status()).isEqualTo(502);

        Rest.Reply added = Rest.post(first.url(), "/v1/nodes?force=true", JSON, body);
        assertThat(added.status()).as(added.body()).isEqualTo(201);
        assertThat(added.json().path("state").asText()).isEqualTo("down");
        assertThat(added.json().path("last_error").asText()).contains("is it running?");

        extra.restart();
        awaitNode(first, "later", "up", PATIENCE);
        awaitNode(second, "later", "up", PATIENCE);
        assertThat(run("later", "\"node\":\"later\"").mark().kind()).isEqualTo(EventMark.Kind.COMPLETED);
        assertThat(Rest.delete(first.url(), "/v1/nodes/later").status()).isEqualTo(202);
        awaitGone(second, "later");
    }

    @Test
    void what_was_not_added_cannot_be_removed() throws InterruptedException {
        Rest.Reply ofTheFile = Rest.delete(first.url(), "/v1/nodes/gpu-a");
        assertThat(ofTheFile.status()).isEqualTo(400);
        assertThat(ofTheFile.body()).contains("penstock.nodes.gpu-a");
        Rest.Reply unknown = Rest.delete(first.url(), "/v1/nodes/nope");
        assertThat(unknown.status()).isEqualTo(404);
        assertThat(unknown.body()).contains("node 'nope' not found. Available: gpu-a");
    }

    @Test
    void nothing_changes_where_the_configuration_has_the_last_word() throws InterruptedException {
        try (PenstockProcess fixed = replica("fixed")
                .config("penstock.config.runtime-changes", "false")
                .config("penstock.intake.enabled", "false")
                .startReady()) {
            Rest.Reply reply = add(fixed, "{\"name\":\"x\",%s}".formatted(extraServer()));
            assertThat(reply.status()).isEqualTo(403);
            assertThat(reply.body()).contains("penstock.config.runtime-changes is false");
            assertThat(Rest.delete(fixed.url(), "/v1/nodes/x").status()).isEqualTo(403);
        }
    }

    private static String extraServer() {
        return "\"backend\":\"vllm\",\"url\":\"%s\"".formatted(extra.url());
    }

    private static Rest.Reply add(PenstockProcess replica, String body) throws InterruptedException {
        return Rest.post(replica.url(), "/v1/nodes", JSON, body);
    }

    private static String state(PenstockProcess replica, String node) {
        try {
            JsonNode document = Rest.get(replica.url(), "/v1/nodes/" + node).json();
            return document.path("state").asText("gone");
        } catch (InterruptedException e) {
            return Assertions.fail(e);
        }
    }

    private static void awaitNode(PenstockProcess replica, String node, String state, Duration patience)
            throws InterruptedException {
        long end = System.nanoTime() + patience.toNanos();
        while (!state(replica, node).equals(state)) {
            assertThat(System.nanoTime())
                    .as("%s is %s", node, state(replica, node))
                    .isLessThan(end);
            Thread.sleep(Duration.ofMillis(50));
        }
    }

    private static void awaitGone(PenstockProcess replica, String node) throws InterruptedException {
        awaitNode(replica, node, "gone", PATIENCE);
    }

    private static ReplyLog.Event run(String id, String job) throws InterruptedException {
        send(id, job);
        replies.awaitOutcomes(List.of(id), PATIENCE);
        return replies.outcome(id);
    }

    private static void send(String id, String job) throws InterruptedException {
        String document = "{\"prompt\":\"Hi\",\"job\":{\"id\":\"%s\",%s}}".formatted(id, job);
        try (JobSender jobs = new JobSender(broker.bootstrap())) {
            jobs.sendRaw(null, document.getBytes(StandardCharsets.UTF_8));
            jobs.flush();
        }
    }
}
