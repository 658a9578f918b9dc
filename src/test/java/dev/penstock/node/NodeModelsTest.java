package dev.penstock.node;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.penstock.job.JobFailure;
import dev.penstock.settings.Backend;
import dev.penstock.settings.NodeSettings;
import dev.penstock.settings.Settings;
import dev.penstock.settings.TestSettings;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.FakeUpstream;
import dev.penstock.testkit.upstream.UpstreamRequest;
import io.vertx.core.Vertx;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class NodeModelsTest {
    private static final Duration PATIENCE = Duration.ofSeconds(20);
    private static final Vertx VERTX = Vertx.vertx();
    private static final FakeUpstream OLLAMA = FakeUpstream.start();

    private final AtomicReference<Instant> now = new AtomicReference<>(Instant.EPOCH);
    private final Node node = node(Backend.OLLAMA);

    @AfterAll
    static void close() {
        OLLAMA.close();
        VERTX.close();
    }

    @BeforeEach
    void hasOneModel() {
        OLLAMA.models("tiny:latest").pulls(_ -> FakeUpstream.pull(4)).reset();
    }

    @Test
    void a_pull_reports_its_progress_and_leaves_the_model_there() throws InterruptedException {
        OLLAMA.pulls(_ -> FakeUpstream.pull(4).every(Duration.ofMillis(20)));

        List<ModelTransfer.State> states = toEnd(begun(node.models().fetch("llama3.2:3b")));

        assertThat(states.getLast()).isEqualTo(new ModelTransfer.State.Done());
        assertThat(percents(states)).isSorted().contains(25.0, 50.0, 75.0, 100.0);
        assertThat(node.health().models()).extracting(WireProtocol.Model::id).contains("llama3.2:3b", "tiny:latest");
    }

    @Test
    void two_pulls_of_one_model_are_one_and_both_see_its_end() throws InterruptedException {
        OLLAMA.pulls(_ -> FakeUpstream.pull(10).every(Duration.ofMillis(50)));

        ModelTransfer.Watch first = begun(node.models().fetch("big"));
        ModelTransfer.Watch second = begun(node.models().fetch("big:latest"));
        ModelTransfer.Watch other = begun(node.models().fetch("other"));

        assertThat(second.transfer()).isSameAs(first.transfer()).isNotSameAs(other.transfer());
        assertThat(toEnd(second).getLast()).isEqualTo(new ModelTransfer.State.Done());
        assertThat(toEnd(first).getLast()).isEqualTo(new ModelTransfer.State.Done());
        toEnd(other);
        assertThat(OLLAMA.stats().on("/api/pull")).isEqualTo(2);
    }

    @Test
    void a_name_of_hugging_face_is_sent_as_ollama_lists_it() throws InterruptedException {
        AtomicReference<String> asked = new AtomicReference<>("");
        OLLAMA.pulls(request -> {
            asked.set(request.model());
            return FakeUpstream.pull(1);
        });

        toEnd(begun(node.models().fetch("hf:user/repo:Q4_K_M")));

        assertThat(asked.get()).isEqualTo("hf.co/user/repo:Q4_K_M");
    }

    @ParameterizedTest
    @CsvSource({
        "an error in mid-stream, model_not_found, pull model manifest: file does not exist (is the name right?)",
        "an end without success, stream_broken, without a report of success",
        "a closed connection, stream_broken, closed the connection",
        "a refusal, invalid_request, invalid model name",
    })
    void a_pull_that_fails_says_why(String how, String code, String words) throws InterruptedException {
        Answer pull = FakeUpstream.pull(4);
        OLLAMA.pulls(_ -> switch (how) {
            case "an error in mid-stream" -> pull.failAfter(1);
            case "an end without success" -> pull.withoutEndMark();
            case "a closed connection" -> pull.closing();
            default -> Answer.refuse(400, "invalid model name");
        });

        ModelTransfer.State end = toEnd(begun(node.models().fetch("nope"))).getLast();

        assertThat(end).isInstanceOfSatisfying(ModelTransfer.State.Failed.class, failed -> {
            assertThat(failed.failure().code().wireName()).isEqualTo(code);
            assertThat(failed.failure().message()).contains(words, "ollama at http://127.0.0.1");
            assertThat(failed.failure().node()).isEqualTo("a");
        });
    }

    @Test
    void what_could_not_be_pulled_for_a_job_is_not_tried_again_for_a_minute() throws InterruptedException {
        OLLAMA.pulls(_ -> FakeUpstream.pull(1).failAfter(1));
        toEnd(begun(node.models().fetch("nope")));
        assertThat(node.models().cannotFetch()).containsOnlyKeys("nope:latest");

        node.models().fetchMissing("nope");
        assertThat(OLLAMA.stats().on("/api/pull")).isEqualTo(1);

        now.set(Instant.EPOCH.plusSeconds(61));
        assertThat(node.models().cannotFetch()).isEmpty();
        node.models().fetchMissing("nope");
        OLLAMA.await(stats -> stats.on("/api/pull") == 2, PATIENCE);
    }

    @Test
    void what_was_pulled_but_is_not_listed_is_not_pulled_again_and_again() throws InterruptedException {
        OLLAMA.probes(request -> request.path().equals("/api/tags")
                ? Optional.of(Answer.document(200, "{\"models\":[]}"))
                : Optional.empty());
        try {
            assertThat(toEnd(begun(node.models().fetch("odd"))).getLast()).isEqualTo(new ModelTransfer.State.Done());
            node.models().fetchMissing("odd");
            assertThat(OLLAMA.stats().on("/api/pull")).isEqualTo(1);
            assertThat(node.models().cannotFetch()).isEmpty();

            now.set(Instant.EPOCH.plusSeconds(6));
            node.models().fetchMissing("odd");
            OLLAMA.await(stats -> stats.on("/api/pull") == 2, PATIENCE);
        } finally {
            OLLAMA.probes(_ -> Optional.empty());
        }
    }

    @Test
    void a_server_that_goes_away_is_no_reason_to_give_a_model_up() throws InterruptedException {
        OLLAMA.pulls(_ -> FakeUpstream.pull(4).closing());
        toEnd(begun(node.models().fetch("later")));

        assertThat(node.models().cannotFetch()).isEmpty();
    }

    @Test
    void models_are_unloaded_and_deleted() throws InterruptedException {
        node.probe();
        assertThat(loaded("tiny:latest")).isTrue();

        assertThat(node.models().unload("tiny")).isEqualTo(new NodeModels.Result.Done());
        assertThat(loaded("tiny:latest")).isFalse();
        assertThat(node.models().delete("tiny")).isEqualTo(new NodeModels.Result.Done());
        assertThat(node.health().models()).isEmpty();
        assertThat(node.models().delete("tiny"))
                .isInstanceOfSatisfying(
                        NodeModels.Result.Refused.class,
                        refused -> assertThat(refused.failure().code()).isEqualTo(JobFailure.Code.MODEL_NOT_FOUND));
    }

    /** Another client loads it, and a router unloads it when it is idle. */
    @Timeout(60)
    @ParameterizedTest
    @ValueSource(strings = {"loaded", "sleeping"})
    void a_model_that_a_router_loads_already_is_waited_for(String end) throws Exception {
        Router scripted = new Router("one", "loading");
        List<ModelTransfer.State.Running> seen = new ArrayList<>();
        try (FakeUpstream router = FakeUpstream.start().probes(scripted::answer);
                NodeClient client = client(router)) {
            new RouterModels().fetch(client, "one", running -> {
                seen.add(running);
                scripted.status.set(end);
            });

            assertThat(router.stats().on("/models/load")).isEqualTo(1);
        }
        assertThat(seen).isNotEmpty().allMatch(running -> running.status().equals("loading"));
    }

    @Timeout(60)
    @Test
    void a_load_ends_when_another_client_unloads_the_model() throws Exception {
        Router scripted = new Router("one", "loading");
        try (FakeUpstream router = FakeUpstream.start().probes(scripted::answer);
                NodeClient client = client(router)) {
            assertThatThrownBy(() -> new RouterModels().fetch(client, "one", _ -> scripted.status.set("unloaded")))
                    .hasMessageContaining("another client has unloaded it");
        }
    }

    @Timeout(60)
    @Test
    void a_download_of_a_router_reports_its_progress_and_ends_when_the_model_is_there() throws Exception {
        Router scripted = new Router("user/repo:Q4", "downloading");
        List<Double> percents = new ArrayList<>();
        try (FakeUpstream router = FakeUpstream.start().probes(scripted::answer);
                NodeClient client = client(router)) {
            new RouterModels().fetch(client, "hf:user/repo:Q4", running -> {
                assertThat(running.status()).isEqualTo("downloading");
                Double percent = running.percent();
                if (percent != null) {
                    percents.add(percent);
                    scripted.status.set(percent == 62.5 ? "unloaded" : "downloading");
                }
            });

            assertThat(router.stats().on("/models")).isEqualTo(1);
            assertThat(router.stats().on("/models/load")).isZero();
        }
        assertThat(percents).containsExactly(25.0, 62.5);
    }

    private static NodeClient client(FakeUpstream router) {
        return new NodeClient(NodeSettings.at(Backend.LLAMA_SERVER, URI.create(router.url())), VERTX, PATIENCE);
    }

    /** A llama-server without a model of its own. The test sets the state of its models. */
    private static final class Router {
        private static final String EVENT =
                "data: {\"model\":\"%s\",\"event\":\"progress\",\"data\":{\"progress\":{\"value\":%s}}}\n\n";

        private final String model;
        private final AtomicReference<String> status;
        private final AtomicBoolean listed;

        Router(String model, String status) {
            this.model = model;
            this.status = new AtomicReference<>(status);
            listed = new AtomicBoolean(!status.equals("downloading"));
        }

        Optional<Answer> answer(UpstreamRequest request) {
            return switch (request.method() + " " + request.path()) {
                case "GET /props" -> Optional.of(Answer.document(200, "{\"role\":\"router\",\"total_slots\":0}"));
                case "GET /v1/models" ->
                    Optional.of(Answer.document(
                            200,
                            listed.get()
                                    ? "{\"data\":[{\"id\":\"%s\",\"object\":\"model\",\"status\":{\"value\":\"%s\"}}]}"
                                            .formatted(model, status.get())
                                    : "{\"data\":[]}"));
                case "POST /models/load" ->
                    Optional.of(Answer.document(
                            400, "{\"error\":{\"code\":400,\"message\":\"model is already running\"}}"));
                case "POST /models" -> {
                    listed.set(true);
                    yield Optional.of(Answer.document(200, "{\"success\":true}"));
                }
                case "GET /models/sse" -> {
                    String events = EVENT.formatted("other", "0.99")
                            + EVENT.formatted(model, "0.25")
                            + EVENT.formatted(model, "0.625");
                    String head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
                    yield Optional.of(Answer.raw((head + events).getBytes(StandardCharsets.UTF_8))
                            .stalling());
                }
                default -> Optional.empty();
            };
        }
    }

    private boolean loaded(String model) {
        return node.health().models().stream()
                .filter(known -> known.id().equals(model))
                .anyMatch(WireProtocol.Model::loaded);
    }

    @ParameterizedTest
    @CsvSource({
        "VLLM, vllm serve MODEL",
        "LM_STUDIO, lms get MODEL",
        "OPENAI, its models are the provider's",
        "OPENAI_COMPATIBLE, the server's own commands",
    })
    void a_server_that_cannot_says_what_to_do_instead(Backend backend, String instead) throws InterruptedException {
        Node fixed = node(backend);

        assertThat(fixed.models().fetch("m"))
                .isInstanceOfSatisfying(
                        NodeModels.Request.Refused.class,
                        refused -> assertThat(refused.failure().message())
                                .contains("node 'a'", backend.wireName(), instead));
        assertThat(fixed.models().unload("m")).isInstanceOf(NodeModels.Result.Refused.class);
        assertThat(OLLAMA.stats().on("/api/pull")).isZero();
    }

    private Node node(Backend backend) {
        NodeSettings at = NodeSettings.at(backend, URI.create(OLLAMA.url()));
        NodeSettings settings = new NodeSettings(
                "a",
                at.backend(),
                at.url(),
                at.pool(),
                at.maxInFlight(),
                null,
                null,
                at.headers(),
                at.requests(),
                true);
        Clock clock = new Clock() {
            @Override
            public ZoneOffset getZone() {
                return ZoneOffset.UTC;
            }

            @Override
            public Clock withZone(ZoneId zone) {
                return this;
            }

            @Override
            public Instant instant() {
                return now.get();
            }
        };
        Settings service = TestSettings.defaults();
        return new Node(
                settings,
                service,
                new NodeClient(settings, VERTX, PATIENCE),
                new MediaFetcher(VERTX, service.permissions().hosts(), 0),
                clock,
                () -> {},
                () -> {},
                Node.Later.onTimer());
    }

    private static ModelTransfer.Watch begun(NodeModels.Request asked) {
        assertThat(asked).isInstanceOf(NodeModels.Request.OnItsWay.class);
        return ((NodeModels.Request.OnItsWay) asked).transfer().watch();
    }

    private static List<ModelTransfer.State> toEnd(ModelTransfer.Watch watch) throws InterruptedException {
        List<ModelTransfer.State> states = new ArrayList<>();
        while (true) {
            ModelTransfer.State state = watch.next(PATIENCE);
            assertThat(state).as("after %s", states).isNotNull();
            states.add(state);
            if (!(state instanceof ModelTransfer.State.Running)) {
                return states;
            }
        }
    }

    private static List<Double> percents(List<ModelTransfer.State> states) {
        List<Double> percents = new ArrayList<>();
        for (ModelTransfer.State state : states) {
            if (state instanceof ModelTransfer.State.Running running && running.percent() != null) {
                percents.add(running.percent());
            }
        }
        return percents;
    }
}
