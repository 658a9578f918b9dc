package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.EventMark;
import dev.penstock.testkit.Broker;
import dev.penstock.testkit.JobSender;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.ReplyLog;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.FakeUpstream;
import dev.penstock.testkit.upstream.ServedModel;
import dev.penstock.testkit.upstream.UpstreamRequest;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Jobs for three models in turn, at an Ollama that holds one model. */
@Tag("alone")
class ModelSwapsIT {
    private static final Duration PATIENCE = Duration.ofMinutes(2);
    private static final Duration LOAD = Duration.ofMillis(80);
    private static final int JOBS = 300;
    private static final List<String> MODELS = List.of("a", "b", "c");

    private static Broker broker;
    private static FakeUpstream ollama;
    private static PenstockProcess penstock;
    private static ReplyLog replies;

    private static final AtomicReference<String> held = new AtomicReference<>("");
    private static final AtomicInteger loads = new AtomicInteger();

    @BeforeAll
    static void start() throws InterruptedException {
        broker = Broker.start();
        ollama = FakeUpstream.start()
                .models(MODELS.stream()
                        .map(model -> new ServedModel(model, 4_096, false))
                        .toList())
                .script(ModelSwapsIT::answer);
        penstock = PenstockProcess.with(broker.bootstrap())
                .node("cpu", "ollama", URI.create(ollama.url()), 1)
                .config("penstock.routes[0].name", "in-turn")
                .config("penstock.routes[0].when.metadata.order", "turn")
                .config("penstock.routes[0].group", "none")
                .startReady();
        replies = ReplyLog.follow(broker.bootstrap());
    }

    @AfterAll
    static void stop() {
        replies.close();
        penstock.close();
        ollama.close();
        broker.close();
    }

    /** A model that is not in memory is loaded in place of the other one. */
    private static Answer answer(UpstreamRequest request) {
        Answer answer = Answer.tokens(2);
        if (held.getAndSet(request.model()).equals(request.model())) {
            return answer;
        }
        loads.incrementAndGet();
        return answer.firstTokenAfter(LOAD);
    }

    private record Ran(int loads, Duration length, Duration beyondTurn) {}

    @Test
    void jobs_for_the_loaded_model_go_first_and_need_a_tenth_of_the_swaps() throws InterruptedException {
        Ran inTurn = run("turn");
        Ran grouped = run("model");

        System.out.printf(
                "%d jobs for 3 models, loads of %d ms: in turn %d loads, %d ms; grouped %d loads, %d ms, longest beyond its turn %d ms%n",
                JOBS,
                LOAD.toMillis(),
                inTurn.loads(),
                inTurn.length().toMillis(),
                grouped.loads(),
                grouped.length().toMillis(),
                grouped.beyondTurn().toMillis());
        assertThat(inTurn.loads()).isGreaterThan(JOBS / 2);
        assertThat(grouped.loads()).isLessThanOrEqualTo(inTurn.loads() / 10);
        assertThat(grouped.length()).isLessThan(inTurn.length());
        assertThat(grouped.beyondTurn()).isLessThan(Duration.ofSeconds(10).plus(LOAD.multipliedBy(2)));
    }

    private static Ran run(String order) throws InterruptedException {
        int before = loads.get();
        List<String> ids =
                IntStream.range(0, JOBS).mapToObj(i -> order + "-" + i).toList();
        Instant begun = Instant.now();
        try (JobSender jobs = new JobSender(broker.bootstrap())) {
            for (int i = 0; i < JOBS; i++) {
                // one partition, so that the jobs arrive in this order
                jobs.sendRaw(
                        0,
                        "{\"model\":\"%s\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],\"metadata\":{\"order\":\"%s\"},\"job\":{\"id\":\"%s\"}}"
                                .formatted(MODELS.get(i % MODELS.size()), order, ids.get(i))
                                .getBytes(StandardCharsets.UTF_8));
            }
            jobs.flush();
        }
        replies.awaitOutcomes(ids, PATIENCE);
        Duration length = Duration.between(begun, Instant.now());
        assertThat(replies.outcomes(ids)).isEqualTo(Map.of("completed", JOBS));
        return new Ran(loads.get() - before, length, beyondTurn(ids));
    }

    /** Returns the longest time for which a job waited after all jobs before it had started. */
    private static Duration beyondTurn(List<String> ids) {
        Instant turn = Instant.MIN;
        Duration longest = Duration.ZERO;
        for (String id : ids) {
            Instant started = started(id);
            if (started.isAfter(turn)) {
                longest = turn.equals(Instant.MIN) ? longest : max(longest, Duration.between(turn, started));
                turn = started;
            }
        }
        return longest;
    }

    private static Duration max(Duration one, Duration other) {
        return one.compareTo(other) < 0 ? other : one;
    }

    private static Instant started(String id) {
        return replies.all(id).stream()
                .filter(event -> event.mark().kind() == EventMark.Kind.STARTED)
                .map(event -> Instant.parse(event.json().at("/job/at").asText()))
                .findFirst()
                .orElseThrow();
    }
}
