package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.EventMark;
import dev.penstock.testkit.Broker;
import dev.penstock.testkit.JobSender;
import dev.penstock.testkit.LlamaServer;
import dev.penstock.testkit.Metrics;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.ReplyLog;
import dev.penstock.testkit.Rest;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.FakeUpstream;
import dev.penstock.wire.Json;
import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Models that are pulled, loaded, unloaded and deleted: by hand, and because a job waits for one. */
class ModelsIT {
    private static final Duration PATIENCE = Duration.ofSeconds(60);
    private static final String JSON = "application/json";

    private static Broker broker;
    private static FakeUpstream gpu;
    private static FakeUpstream cpu;
    private static FakeUpstream edge;
    private static PenstockProcess penstock;
    private static ReplyLog replies;

    @BeforeAll
    static void start() throws InterruptedException {
        broker = Broker.start();
        gpu = FakeUpstream.start();
        cpu = FakeUpstream.start();
        edge = FakeUpstream.start();
        gpu.models("gpu-model");
        penstock = PenstockProcess.with(broker.bootstrap())
                .node("gpu-a", "vllm", URI.create(gpu.url()), 4)
                .node("cpu-a", "ollama", URI.create(cpu.url()), 2)
                .config("penstock.nodes.cpu-a.pull", "missing")
                .node("edge-a", "ollama", URI.create(edge.url()), 2)
                .config("penstock.nodes.edge-a.pool", "edge")
                .config("penstock.profiles.fast.ollama", "fast-model:1b")
                .startReady();
        replies = ReplyLog.follow(broker.bootstrap());
    }

    @AfterAll
    static void stop() {
        replies.close();
        penstock.close();
        gpu.close();
        cpu.close();
        edge.close();
        broker.close();
    }

    @BeforeEach
    void allAreUp() throws InterruptedException {
        gpu.models("gpu-model");
        for (FakeUpstream fake : List.of(gpu, cpu, edge)) {
            fake.script(_ -> Answer.tokens(3)).pulls(_ -> FakeUpstream.pull(4));
            fake.reset();
        }
        for (String node : List.of("gpu-a", "cpu-a", "edge-a")) {
            Metrics.await(penstock, "penstock_node_up{node=\"" + node + "\"}", 1, PATIENCE);
        }
    }

    @Test
    void a_pull_is_watched_to_its_end_and_the_model_is_there() throws Exception {
        edge.pulls(_ -> FakeUpstream.pull(10).every(Duration.ofMillis(100)));

        List<Rest.SentEvent> events = watch("/v1/nodes/edge-a/models", "{\"model\":\"hf:user/repo:Q4_K_M\"}");

        assertThat(events.getLast().name()).isEqualTo("done");
        assertThat(data(events.getLast()).path("percent").asDouble()).isEqualTo(100);
        List<Double> percents = new ArrayList<>();
        for (Rest.SentEvent event : events.subList(0, events.size() - 1)) {
            assertThat(event.name()).isEqualTo("progress");
            assertThat(data(event).path("node").asText()).isEqualTo("edge-a");
            percents.add(data(event).path("percent").asDouble());
        }
        assertThat(percents).isSorted();
        assertThat(Set.copyOf(percents)).as("what came by while it was pulled").hasSizeGreaterThan(3);
        assertThat(Rest.get(penstock.url(), "/v1/models/hf.co/user/repo:Q4_K_M").status())
                .isEqualTo(200);

        Rest.Reply deleted = Rest.delete(penstock.url(), "/v1/nodes/edge-a/models/hf:user/repo:Q4_K_M");
        assertThat(deleted.status()).as(deleted.body()).isEqualTo(200);
        assertThat(deleted.json().path("data").path(0).path("status").asText()).isEqualTo("deleted");
        assertThat(Rest.get(penstock.url(), "/v1/models/hf.co/user/repo:Q4_K_M").status())
                .isEqualTo(404);
        Rest.Reply again = Rest.delete(penstock.url(), "/v1/nodes/edge-a/models/hf:user/repo:Q4_K_M");
        assertThat(again.status()).isEqualTo(404);
        assertThat(again.code()).isEqualTo("model_not_found");
        assertThat(again.body()).contains("is not on node 'edge-a'. There: tiny");
    }

    @Test
    void two_who_pull_one_model_watch_one_pull_which_goes_on_when_they_leave() throws Exception {
        edge.pulls(_ -> FakeUpstream.pull(20).every(Duration.ofMillis(100)));
        String body = "{\"model\":\"big:70b\"}";
        try (Rest.Events first = Rest.postAndWatch(penstock.url(), "/v1/nodes/edge-a/models", body);
                Rest.Events second = Rest.postAndWatch(penstock.url(), "/v1/nodes/edge-a/models", body)) {
            assertThat(Objects.requireNonNull(first.next()).name()).isEqualTo("progress");
            assertThat(Objects.requireNonNull(second.next()).name()).isEqualTo("progress");
        }

        List<Rest.SentEvent> rest = watch("/v1/nodes/edge-a/models", body);

        assertThat(rest.getLast().name()).isEqualTo("done");
        assertThat(edge.stats().on("/api/pull")).isEqualTo(1);
        assertThat(Rest.get(penstock.url(), "/v1/models/big:70b").status()).isEqualTo(200);
    }

    @Test
    void a_pool_is_told_as_a_whole() throws Exception {
        List<Rest.SentEvent> events = watch("/v1/nodes/-/models?pool=edge", "{\"model\":\"pooled\"}");
        assertThat(events.getLast().name()).isEqualTo("done");
        assertThat(data(events.getLast()).path("node").asText()).isEqualTo("edge-a");
        Rest.Reply unloaded = Rest.post(penstock.url(), "/v1/nodes/-/models/pooled/unload?pool=edge", JSON, "");
        assertThat(unloaded.status()).as(unloaded.body()).isEqualTo(200);
        assertThat(unloaded.json().path("data").path(0).path("status").asText()).isEqualTo("unloaded");

        Rest.Reply nowhere = Rest.post(penstock.url(), "/v1/nodes/-/models?pool=nope", JSON, "{\"model\":\"m\"}");
        assertThat(nowhere.status()).isEqualTo(404);
        assertThat(nowhere.body()).contains("pool 'nope' has no node. Available: cpu, edge, gpu");
    }

    @Test
    void what_cannot_be_done_is_said_with_what_to_do_instead() throws InterruptedException, IOException {
        Rest.Reply vllm = Rest.post(penstock.url(), "/v1/nodes/gpu-a/models", JSON, "{\"model\":\"m\"}");
        assertThat(vllm.status()).isEqualTo(400);
        assertThat(vllm.body()).contains("node 'gpu-a': vllm neither pulls", "vllm serve MODEL");
        assertThat(Rest.post(penstock.url(), "/v1/nodes/x/models", JSON, "{\"model\":\"m\"}")
                        .body())
                .contains("node 'x' not found. Available: cpu-a, edge-a, gpu-a");
        assertThat(Rest.post(penstock.url(), "/v1/nodes/edge-a/models", JSON, "{}")
                        .status())
                .isEqualTo(400);
        edge.pulls(_ -> FakeUpstream.pull(4).failAfter(1));
        List<Rest.SentEvent> events = watch("/v1/nodes/edge-a/models", "{\"model\":\"nope\"}");
        assertThat(events.getLast().name()).isEqualTo("failed");
        assertThat(data(events.getLast()).path("error").path("code").asText()).isEqualTo("model_not_found");
        assertThat(events.getLast().data()).contains("file does not exist");
    }

    @Test
    void a_job_waits_for_a_model_that_its_node_pulls() throws Exception {
        cpu.pulls(_ -> FakeUpstream.pull(10).every(Duration.ofMillis(50)));

        ReplyLog.Event outcome = run("pulls", "\"model\":\"wanted:3b\"");
        ReplyLog.Event byProfile = run("profile", "\"model\":\"fast\",\"job\":{\"id\":\"profile\",\"node\":\"cpu-a\"}");

        assertThat(outcome.mark().kind()).as(outcome.value()).isEqualTo(EventMark.Kind.COMPLETED);
        assertThat(outcome.mark().attempt()).isEqualTo(1);
        assertThat(outcome.json().path("job").path("node").asText()).isEqualTo("cpu-a");
        assertThat(outcome.json().path("model").asText()).isEqualTo("wanted:3b");
        assertThat(byProfile.mark().kind()).as(byProfile.value()).isEqualTo(EventMark.Kind.COMPLETED);
        assertThat(cpu.stats().on("/api/pull")).isEqualTo(2);
        penstock.process()
                .awaitLine(line -> line.contains("node=cpu-a model=wanted:3b") && line.contains("50 %"), PATIENCE);
    }

    @Test
    void a_job_whose_model_cannot_be_pulled_fails_with_the_servers_words() throws InterruptedException {
        cpu.pulls(_ -> FakeUpstream.pull(4).failAfter(1));

        ReplyLog.Event outcome = run("in-vain", "\"model\":\"not-there:3b\"");

        assertThat(outcome.mark().kind()).isEqualTo(EventMark.Kind.FAILED);
        assertThat(outcome.json().path("error").path("code").asText()).isEqualTo("model_not_found");
        assertThat(outcome.json().path("error").path("message").asText())
                .contains("could not be fetched", "file does not exist", "gpu-model on gpu-a");
    }

    @Test
    void the_models_are_the_union_over_the_nodes_and_the_profiles() throws InterruptedException {
        JsonNode list = Rest.get(penstock.url(), "/v1/models").json();

        assertThat(list.path("data").findValuesAsText("id")).contains("fast", "gpu-model", "tiny");
        assertThat(list.path("data").findValuesAsText("owned_by")).contains("profile", "vllm", "ollama");
        Rest.Reply unknown = Rest.get(penstock.url(), "/v1/models/nope");
        assertThat(unknown.status()).isEqualTo(404);
        assertThat(unknown.body()).contains("gpu-model on gpu-a");
    }

    @Test
    void a_real_llama_server_in_router_mode_loads_and_unloads(@TempDir Path folder) throws Exception {
        if (!(LlamaServer.startRouter(folder, "one", "two") instanceof LlamaServer.Start.Started(LlamaServer router))) {
            Assumptions.abort("SKIPPED: no llama-server can be had here");
            return;
        }
        try (router) {
            String node = "{\"name\":\"router\",\"backend\":\"llama-server\",\"url\":\"%s\"}".formatted(router.url());
            // a server that has just started may be too slow for the probe
            assertThat(Rest.post(penstock.url(), "/v1/nodes?force=true", JSON, node)
                            .status())
                    .isEqualTo(201);
            Metrics.await(penstock, "penstock_node_up{node=\"router\"}", 1, PATIENCE);

            List<Rest.SentEvent> loaded = watch("/v1/nodes/router/models", "{\"model\":\"one\"}");
            assertThat(loaded.getLast().name()).as(loaded.toString()).isEqualTo("done");
            assertThat(status(router, "one")).isEqualTo("loaded");
            assertThat(watch("/v1/nodes/router/models", "{\"model\":\"one\"}")
                            .getLast()
                            .name())
                    .as("again")
                    .isEqualTo("done");
            assertThat(run(
                                    "routed",
                                    "\"model\":\"one\",\"max_tokens\":4,\"job\":{\"id\":\"routed\",\"node\":\"router\"}")
                            .mark()
                            .kind())
                    .isEqualTo(EventMark.Kind.COMPLETED);

            assertThat(Rest.post(penstock.url(), "/v1/nodes/router/models/one/unload", JSON, "")
                            .status())
                    .isEqualTo(200);
            awaitStatus(router, "one", "unloaded");
            Rest.SentEvent unknown =
                    watch("/v1/nodes/router/models", "{\"model\":\"three\"}").getLast();
            assertThat(unknown.name()).isEqualTo("failed");
            assertThat(unknown.data())
                    .contains("model 'three' is not at node 'router': llama-server", "model_not_found");
            Rest.Reply kept = Rest.delete(penstock.url(), "/v1/nodes/router/models/two");
            assertThat(kept.status()).isEqualTo(400);
            assertThat(kept.body()).contains("leaves its file alone");
        } finally {
            Rest.delete(penstock.url(), "/v1/nodes/router");
        }
    }

    private static String status(LlamaServer router, String model) throws InterruptedException {
        for (JsonNode listed : Rest.get(router.url(), "/v1/models").json().path("data")) {
            if (listed.path("id").asText().equals(model)) {
                return listed.path("status").path("value").asText();
            }
        }
        return "none";
    }

    private static void awaitStatus(LlamaServer router, String model, String status) throws InterruptedException {
        long end = System.nanoTime() + PATIENCE.toNanos();
        while (!status(router, model).equals(status)) {
            assertThat(System.nanoTime()).as(status(router, model)).isLessThan(end);
            Thread.sleep(Duration.ofMillis(50));
        }
    }

    private static List<Rest.SentEvent> watch(String path, String body) throws InterruptedException, IOException {
        List<Rest.SentEvent> all = new ArrayList<>();
        try (Rest.Events events = Rest.postAndWatch(penstock.url(), path, body)) {
            assertThat(events.status()).isEqualTo(200);
            for (Rest.SentEvent event = events.next(); event != null; event = events.next()) {
                all.add(event);
            }
        }
        return all;
    }

    private static JsonNode data(Rest.SentEvent event) {
        return Objects.requireNonNull(Json.parseLenient(event.data()), event.data());
    }

    private static ReplyLog.Event run(String id, String fields) throws InterruptedException {
        String job = fields.contains("\"job\"") ? "" : ",\"job\":{\"id\":\"" + id + "\"}";
        String document = "{\"prompt\":\"Hi\",%s%s}".formatted(fields, job);
        try (JobSender jobs = new JobSender(broker.bootstrap())) {
            jobs.sendRaw(null, document.getBytes(StandardCharsets.UTF_8));
            jobs.flush();
        }
        replies.awaitOutcomes(List.of(id), PATIENCE);
        return replies.outcome(id);
    }
}
