package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.job.EventMark;
import dev.penstock.testkit.Broker;
import dev.penstock.testkit.ChildProcess;
import dev.penstock.testkit.Conditions;
import dev.penstock.testkit.JobSender;
import dev.penstock.testkit.Metrics;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.Postgres;
import dev.penstock.testkit.ReplyLog;
import dev.penstock.testkit.Rest;
import dev.penstock.testkit.TestEnvironment;
import dev.penstock.testkit.WireSchemas;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.FakeUpstream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Two replicas with three nodes: what an operator pauses begins nothing, at both of them, until it is resumed. */
class PausesIT {
    private static final Duration PATIENCE = Duration.ofSeconds(60);
    private static final Duration A_SECOND = Duration.ofSeconds(1);
    private static final String JSON = "application/json";
    private static final WireSchemas SCHEMAS = new WireSchemas();

    private static Broker broker;
    private static Postgres postgres;
    private static FakeUpstream a;
    private static FakeUpstream b;
    private static FakeUpstream cpu;
    private static PenstockProcess first;
    private static PenstockProcess second;
    private static ReplyLog replies;

    @BeforeAll
    static void start() throws InterruptedException {
        broker = Broker.start();
        postgres = Postgres.start("pauses");
        a = FakeUpstream.start();
        b = FakeUpstream.start();
        cpu = FakeUpstream.start();
        first = replica("first").startReady();
        second = replica("second").startReady();
        first.awaitLedger();
        second.awaitLedger();
        replies = ReplyLog.follow(broker.bootstrap());
    }

    private static PenstockProcess.Builder replica(String name) {
        return PenstockProcess.with(broker.bootstrap())
                .name(name)
                .ledger(postgres)
                .node("gpu-a", "vllm", URI.create(a.url()), 2 * 8)
                .node("gpu-b", "vllm", URI.create(b.url()), 2 * 8)
                .node("cpu-a", "vllm", URI.create(cpu.url()), 2 * 8)
                .config("penstock.nodes.cpu-a.pool", "cpu");
    }

    @AfterAll
    static void stop() {
        replies.close();
        first.close();
        second.close();
        postgres.close();
        a.close();
        b.close();
        cpu.close();
        broker.close();
    }

    @BeforeEach
    void answersAreShort() {
        for (FakeUpstream fake : List.of(a, b, cpu)) {
            fake.script(_ -> Answer.tokens(5));
            fake.reset();
        }
    }

    @AfterEach
    void nothingIsPaused() throws InterruptedException {
        for (JsonNode pause : pauses(first)) {
            ((ObjectNode) pause).remove("since");
            assertThat(Rest.post(first.url(), "/v1/resume", JSON, pause.toString())
                            .status())
                    .isEqualTo(200);
        }
        Conditions.await(() -> pauses(second).isEmpty());
    }

    private static JsonNode pauses(PenstockProcess replica) throws InterruptedException {
        return Rest.get(replica.url(), "/v1/pauses").json().path("data");
    }

    private static Rest.Reply change(PenstockProcess replica, String verb, String kind, String name)
            throws InterruptedException {
        Rest.Reply reply = Rest.post(replica.url(), "/v1/" + verb, JSON, "{\"%s\":\"%s\"}".formatted(kind, name));
        assertThat(reply.status()).as(reply.body()).isEqualTo(200);
        return reply;
    }

    /** Pauses over the first replica; the second obeys within a second. */
    private static void pause(String kind, String name) throws InterruptedException {
        change(first, "pause", kind, name);
        Conditions.await(() -> !pauses(second).isEmpty(), A_SECOND, "the second replica does not know the pause");
    }

    private static List<String> send(String topic, String prefix, String job, int count) throws InterruptedException {
        List<String> ids = IntStream.range(0, count).mapToObj(i -> prefix + i).toList();
        try (JobSender sender = new JobSender(broker.bootstrap(), topic, Map.of())) {
            for (String id : ids) {
                sender.sendRaw(
                        null,
                        "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],\"job\":{%s\"id\":\"%s\"}}"
                                .formatted(job, id)
                                .getBytes(StandardCharsets.UTF_8));
            }
            sender.flush();
        }
        return ids;
    }

    private static JsonNode waitingFor(PenstockProcess replica, String id) throws InterruptedException {
        return Rest.get(replica.url(), "/v1/jobs/" + id).json().path("waiting_for");
    }

    private static void awaitPaused(String id) throws InterruptedException {
        for (PenstockProcess replica : List.of(first, second)) {
            Conditions.await(
                    () -> waitingFor(replica, id).path("code").asText().equals("paused"),
                    PATIENCE,
                    id + " does not wait for the pause");
        }
        Rest.Reply reply = Rest.get(first.url(), "/v1/jobs/" + id);
        assertThat(reply.json().path("status").asText()).isEqualTo("queued");
        SCHEMAS.check("job-object.schema.json", reply.body());
    }

    private static void awaitCompleted(List<String> ids) throws InterruptedException {
        replies.awaitOutcomes(ids, PATIENCE);
        for (String id : ids) {
            assertThat(replies.outcome(id).mark().kind())
                    .as(replies.outcome(id).value())
                    .isEqualTo(EventMark.Kind.COMPLETED);
        }
    }

    @Test
    void a_paused_node_gets_no_request_and_serves_again_when_it_is_resumed() throws InterruptedException {
        pause("node", "gpu-a");
        for (PenstockProcess replica : List.of(first, second)) {
            Rest.Reply node = Rest.get(replica.url(), "/v1/nodes/gpu-a");
            assertThat(node.json().path("paused").asBoolean()).isTrue();
            assertThat(node.json().path("state").asText()).isEqualTo("up");
            SCHEMAS.check("node-object.schema.json", node.body());
        }
        Rest.Reply route =
                Rest.post(second.url(), "/v1/route", JSON, "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}");
        assertThat(route.json().path("excluded").path(0).path("why").asText())
                .as(route.body())
                .contains("node gpu-a is paused since");

        awaitCompleted(send("prompt-jobs", "elsewhere-", "", 40));
        assertThat(a.requests()).isEmpty();
        assertThat(b.requests()).hasSizeGreaterThan(0);

        change(second, "resume", "node", "gpu-a");
        Conditions.await(() -> pauses(first).isEmpty(), A_SECOND, "the first replica does not resume");
        awaitCompleted(send("prompt-jobs", "again-", "\"node\":\"gpu-a\",", 4));
        assertThat(a.requests()).hasSize(4);
    }

    @Test
    void jobs_go_past_a_paused_pool_and_those_that_need_it_are_deferred_until_it_is_resumed()
            throws InterruptedException {
        pause("pool", "gpu");

        awaitCompleted(send("prompt-jobs", "past-", "", 10));
        assertThat(cpu.requests()).hasSize(10);
        List<String> pinned = send("prompt-jobs", "pinned-", "\"pool\":\"gpu\",", 3);
        awaitPaused("pinned-0");
        Conditions.await(
                () -> waitingFor(first, "pinned-0").path("message").asText().contains("deferred until then"),
                PATIENCE,
                "it is not deferred");
        assertThat(waitingFor(second, "pinned-0").path("code").asText()).isEqualTo("paused");
        awaitCompleted(send("prompt-jobs", "meanwhile-", "", 10));
        assertThat(a.requests()).isEmpty();
        assertThat(b.requests()).isEmpty();

        change(first, "resume", "pool", "gpu");

        awaitCompleted(pinned);
    }

    @Test
    void a_paused_topic_queues_its_jobs_over_a_restart_until_the_client_resumes_it() throws InterruptedException {
        assertThat(client("pause", "topic", "prompt-jobs")).contains("topic prompt-jobs is paused since");
        Conditions.await(() -> !pauses(second).isEmpty(), A_SECOND, "the second replica does not know the pause");
        Rest.Reply accepted = Rest.post(
                second.url(),
                "/v1/jobs",
                JSON,
                "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],\"job\":{\"id\":\"rest-0\"}}");
        assertThat(accepted.status()).as(accepted.body()).isEqualTo(202);
        List<String> queued = new ArrayList<>(send("prompt-jobs", "queued-", "", 5));
        queued.add("rest-0");
        awaitPaused("rest-0");
        awaitPaused("queued-4");
        awaitCompleted(send("prompt-jobs-high", "high-", "", 10));

        for (PenstockProcess replica : List.of(first, second)) {
            Rest.Reply health = Rest.get(replica.managementUrl(), "/q/health/ready");
            assertThat(health.status()).isEqualTo(200);
            assertThat(health.body()).contains("paused.topic.prompt-jobs");
            Metrics.await(replica, "penstock_paused{kind=\"topic\",name=\"prompt-jobs\"}", 1, PATIENCE);
        }
        second.close();
        second = replica("second").startReady();
        first.close();
        first = replica("first").startReady();
        first.awaitLedger();
        second.awaitLedger();

        awaitPaused("queued-0");
        awaitCompleted(send("prompt-jobs-high", "high-again-", "", 10));
        assertThat(queued).allMatch(id -> replies.count(id, EventMark.Kind.COMPLETED) == 0);
        assertThat(client("pauses")).contains("topic", "prompt-jobs");
        assertThat(client("resume", "topic", "prompt-jobs")).contains("topic prompt-jobs is not paused");

        awaitCompleted(queued);
        assertThat(Metrics.text(first)).doesNotContain("penstock_paused{");
    }

    @Test
    void pauses_are_idempotent_and_a_mistake_is_refused_with_the_names() throws InterruptedException {
        JsonNode once = change(first, "pause", "node", "gpu-a").json();
        JsonNode twice = change(second, "pause", "node", "gpu-a").json();

        assertThat(twice).isEqualTo(once);
        assertThat(Rest.get(first.url(), "/v1/pauses").json().toString())
                .isEqualTo("{\"object\":\"list\",\"data\":[%s],\"next\":null}".formatted(once));
        assertThat(change(first, "resume", "pool", "gpu").body()).isEqualTo("{\"pool\":\"gpu\",\"since\":null}");
        for (List<String> wrong : List.of(
                List.of("{\"node\":\"gpu-z\"}", "404", "node 'gpu-z' not found. Available: cpu-a, gpu-a, gpu-b"),
                List.of("{\"pool\":\"gpu-a\"}", "404", "pool 'gpu-a' not found. Available: cpu, gpu"),
                List.of("{\"topic\":\"prompt-replies\"}", "404", "Available: prompt-jobs, prompt-jobs-high"),
                List.of("{\"node\":\"gpu-a\",\"pool\":\"gpu\"}", "400", "exactly one of topic, pool, node"),
                List.of("{}", "400", "exactly one of topic, pool, node"),
                List.of("{\"rack\":\"gpu-a\"}", "400", "rack"),
                List.of("{\"node\":7}", "400", "expected a name"),
                List.of("[]", "400", "expected a JSON object"))) {
            Rest.Reply reply = Rest.post(first.url(), "/v1/pause", JSON, wrong.get(0));
            assertThat(reply.status()).as(reply.body()).isEqualTo(Integer.parseInt(wrong.get(1)));
            assertThat(reply.json().path("error").path("message").asText()).contains(wrong.get(2));
        }
    }

    @ParameterizedTest
    @CsvSource({"classic, own", "share, kafka"})
    void a_paused_topic_is_not_read_in_other_modes(String mode, String shareClient) throws InterruptedException {
        String name = mode + "-" + shareClient;
        PenstockProcess.Builder builder = PenstockProcess.with(broker.bootstrap())
                .name(name)
                .node("gpu-a", "vllm", URI.create(a.url()), 8)
                .config("penstock.ledger.kind", "none")
                .config("penstock.groups-prefix", name + ".")
                .config("penstock.intake.mode", mode);
        if (shareClient.equals("kafka")) {
            builder.config("penstock.intake.share-client", shareClient);
        }
        for (String topic :
                List.of("jobs-high", "jobs", "jobs-low", "deferred", "replies", "commands", "dlq", "settings")) {
            builder.config("penstock.topics." + topic, name + "-" + topic);
        }
        try (PenstockProcess penstock = builder.startReady();
                ReplyLog own = ReplyLog.follow(broker.bootstrap(), name + "-replies")) {
            change(penstock, "pause", "topic", name + "-jobs");
            List<String> held = send(name + "-jobs", "held-", "", 5);
            List<String> other = send(name + "-jobs-high", "other-", "", 5);
            own.awaitOutcomes(other, PATIENCE);
            assertThat(a.requests()).hasSize(5);

            change(penstock, "resume", "topic", name + "-jobs");

            own.awaitOutcomes(held, PATIENCE);
            assertThat(a.requests()).hasSize(10);
        }
    }

    @Test
    void nothing_is_paused_where_nothing_may_change_at_run_time() throws InterruptedException {
        try (PenstockProcess penstock = PenstockProcess.with(broker.bootstrap())
                .name("fixed")
                .node("gpu-a", "vllm", URI.create(a.url()), 8)
                .config("penstock.ledger.kind", "none")
                .config("penstock.intake.enabled", "false")
                .config("penstock.config.runtime-changes", "false")
                .startReady()) {
            Rest.Reply reply = Rest.post(penstock.url(), "/v1/pause", JSON, "{\"node\":\"gpu-a\"}");

            assertThat(reply.status()).as(reply.body()).isEqualTo(403);
            assertThat(reply.body()).contains("penstock.config.runtime-changes is false");
        }
    }

    private static String client(String... arguments) throws InterruptedException {
        List<String> command = new ArrayList<>();
        command.add(
                TestEnvironment.projectDir().resolve("bin").resolve("penstock").toString());
        command.addAll(List.of(arguments));
        command.addAll(List.of("--url", first.url().toString()));
        Map<String, String> environment = new HashMap<>();
        environment.put(
                "PENSTOCK_EXECUTABLE", PenstockProcess.defaultExecutable().toString());
        environment.put("JAVA_HOME", System.getProperty("java.home"));
        ChildProcess client = ChildProcess.start("client", command, new HashMap<>(environment));
        assertThat(client.awaitExit(PATIENCE)).as("%s", client.output()).hasValue(0);
        return String.join("\n", client.output());
    }
}
