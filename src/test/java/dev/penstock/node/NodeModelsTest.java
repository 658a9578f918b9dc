package dev.penstock.node;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.JobFailure;
import dev.penstock.node.http.NodeClient;
import dev.penstock.node.media.MediaFetcher;
import dev.penstock.node.models.Later;
import dev.penstock.node.models.ModelTransfer;
import dev.penstock.node.models.NodeModels;
import dev.penstock.node.protocol.WireProtocol;
import dev.penstock.settings.Backend;
import dev.penstock.settings.NodeSettings;
import dev.penstock.settings.Settings;
import dev.penstock.settings.read.TestSettings;
import dev.penstock.testkit.PlayedClock;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.FakeUpstream;
import io.vertx.core.Vertx;
import java.net.URI;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class NodeModelsTest {
    private static final Duration PATIENCE = Duration.ofSeconds(20);
    private static Vertx vertx;
    private static FakeUpstream ollama;

    private final AtomicReference<Instant> now = new AtomicReference<>(Instant.EPOCH);
    private final Node node = node(Backend.OLLAMA);

    @BeforeAll
    static void open() {
        vertx = Vertx.vertx();
        ollama = FakeUpstream.start();
    }

    @AfterAll
    static void close() {
        ollama.close();
        vertx.close();
    }

    @BeforeEach
    void hasOneModel() {
        ollama.models("tiny:latest").pulls(_ -> FakeUpstream.pull(4)).reset();
    }

    @Test
    void a_pull_reports_its_progress_and_leaves_the_model_there() throws InterruptedException {
        ollama.pulls(_ -> FakeUpstream.pull(4).every(Duration.ofMillis(20)));

        List<ModelTransfer.State> states = toEnd(begun(node.models().fetch("llama3.2:3b")));

        assertThat(states.getLast()).isEqualTo(new ModelTransfer.State.Done());
        // a watch that begins late misses the first ones
        assertThat(percents(states)).isSorted().contains(100.0).isSubsetOf(0.0, 25.0, 50.0, 75.0, 100.0);
        assertThat(node.health().models()).extracting(WireProtocol.Model::id).contains("llama3.2:3b", "tiny:latest");
    }

    @Test
    void two_pulls_of_one_model_are_one_and_both_see_its_end() throws InterruptedException {
        ollama.pulls(_ -> FakeUpstream.pull(10).every(Duration.ofMillis(50)));

        ModelTransfer.Watch first = begun(node.models().fetch("big"));
        ModelTransfer.Watch second = begun(node.models().fetch("big:latest"));
        ModelTransfer.Watch other = begun(node.models().fetch("other"));

        assertThat(second.transfer()).isSameAs(first.transfer()).isNotSameAs(other.transfer());
        assertThat(toEnd(second).getLast()).isEqualTo(new ModelTransfer.State.Done());
        assertThat(toEnd(first).getLast()).isEqualTo(new ModelTransfer.State.Done());
        toEnd(other);
        assertThat(ollama.stats().on("/api/pull")).isEqualTo(2);
    }

    @Test
    void a_name_of_hugging_face_is_sent_as_ollama_lists_it() throws InterruptedException {
        AtomicReference<String> asked = new AtomicReference<>("");
        ollama.pulls(request -> {
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
        ollama.pulls(_ -> switch (how) {
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
        ollama.pulls(_ -> FakeUpstream.pull(1).failAfter(1));
        toEnd(begun(node.models().fetch("nope")));
        assertThat(node.models().cannotFetch()).containsOnlyKeys("nope:latest");

        node.models().fetchMissing("nope");
        assertThat(ollama.stats().on("/api/pull")).isEqualTo(1);

        now.set(Instant.EPOCH.plusSeconds(61));
        assertThat(node.models().cannotFetch()).isEmpty();
        node.models().fetchMissing("nope");
        ollama.await(stats -> stats.on("/api/pull") == 2, PATIENCE);
    }

    @Test
    void what_was_pulled_but_is_not_listed_is_not_pulled_again_and_again() throws InterruptedException {
        ollama.probes(request -> request.path().equals("/api/tags")
                ? Optional.of(Answer.document(200, "{\"models\":[]}"))
                : Optional.empty());
        try {
            assertThat(toEnd(begun(node.models().fetch("odd"))).getLast()).isEqualTo(new ModelTransfer.State.Done());
            node.models().fetchMissing("odd");
            assertThat(ollama.stats().on("/api/pull")).isEqualTo(1);
            assertThat(node.models().cannotFetch()).isEmpty();

            now.set(Instant.EPOCH.plusSeconds(6));
            node.models().fetchMissing("odd");
            ollama.await(stats -> stats.on("/api/pull") == 2, PATIENCE);
        } finally {
            ollama.probes(_ -> Optional.empty());
        }
    }

    @Test
    void a_server_that_goes_away_is_no_reason_to_give_a_model_up() throws InterruptedException {
        ollama.pulls(_ -> FakeUpstream.pull(4).closing());
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
        assertThat(ollama.stats().on("/api/pull")).isZero();
    }

    private Node node(Backend backend) {
        NodeSettings at = NodeSettings.at(backend, URI.create(ollama.url()));
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
        Clock clock = PlayedClock.of(() -> now.get());
        Settings service = TestSettings.defaults();
        return new Node(
                settings,
                service,
                new NodeClient(settings, vertx, PATIENCE),
                new MediaFetcher(vertx, service.permissions().hosts(), 0),
                clock,
                () -> {},
                () -> {},
                Later.onTimer());
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
