package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.EventMark;
import dev.penstock.testkit.Broker;
import dev.penstock.testkit.JobSender;
import dev.penstock.testkit.Metrics;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.ReplyLog;
import dev.penstock.testkit.Rest;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.FakeUpstream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** A node that hangs among nodes that work, and a node that restarts under all of its streams. */
@Tag("alone")
class FailingNodesIT {
    private static final Duration PATIENCE = Duration.ofSeconds(90);
    private static final Duration INTERVAL = Duration.ofSeconds(3);
    private static final int SLOTS = 4;
    private static final String WAITING = "penstock_jobs_waiting{priority=\"normal\"}";
    private static final String CHAT = "/v1/chat/completions";

    private static Broker broker;
    private static final List<FakeUpstream> hanging = new ArrayList<>();
    private static FakeUpstream large;
    private static FakeUpstream small;
    private static PenstockProcess penstock;
    private static ReplyLog replies;

    @BeforeAll
    static void start() throws InterruptedException {
        broker = Broker.start();
        PenstockProcess.Builder builder = PenstockProcess.with(broker.bootstrap())
                .config("penstock.timeouts.first-token", "2s")
                .config("penstock.breaker.half-open-after", INTERVAL.toSeconds() + "s")
                .config("penstock.intake.slots", "128");
        for (int i = 0; i < 4; i++) {
            FakeUpstream fake = FakeUpstream.start();
            hanging.add(fake);
            builder.node("four-" + i, "vllm", URI.create(fake.url()), SLOTS)
                    .config("penstock.nodes.four-%d.pool".formatted(i), "four");
        }
        large = FakeUpstream.start();
        small = FakeUpstream.start();
        penstock = builder.node("large", "vllm", URI.create(large.url()), 64)
                .config("penstock.nodes.large.pool", "two")
                .node("small", "vllm", URI.create(small.url()), 2)
                .config("penstock.nodes.small.pool", "two")
                .startReady();
        replies = ReplyLog.follow(broker.bootstrap());
        for (String node : List.of("four-0", "four-1", "four-2", "four-3", "large", "small")) {
            Metrics.await(penstock, "penstock_node_up{node=\"%s\"}".formatted(node), 1, PATIENCE);
        }
    }

    @AfterAll
    static void stop() {
        replies.close();
        penstock.close();
        Stream.concat(hanging.stream(), Stream.of(large, small)).forEach(FakeUpstream::close);
        broker.close();
    }

    @Test
    void of_a_thousand_jobs_a_hanging_node_gets_its_slots_and_one_per_interval_until_it_works_again()
            throws InterruptedException {
        FakeUpstream hangs = hanging.getFirst();
        hanging.forEach(fake -> fake.script(_ -> Answer.tokens(4).every(Duration.ofMillis(25))));
        hangs.script(_ -> Answer.of("never").stallBeforeResponse());
        List<String> ids = IntStream.range(0, 1_000).mapToObj(i -> "hang-" + i).toList();

        long begun = System.nanoTime();
        send(ids, "four");
        Metrics.await(penstock, "penstock_node_breaker{node=\"four-0\"}", 2, PATIENCE);
        replies.awaitOutcomes(ids, PATIENCE);
        Duration took = Duration.ofNanos(System.nanoTime() - begun);
        long reached = hangs.stats().on(CHAT);

        assertThat(replies.outcomes(ids)).isEqualTo(Map.of("completed", 1_000));
        assertThat(reached).isBetween((long) SLOTS, SLOTS + took.dividedBy(INTERVAL));
        assertThat(node("four-0").path("breaker").asText()).isIn("open", "half_open");
        JsonNode works = node("four-1");
        assertThat(works.path("breaker").asText()).isEqualTo("closed");
        assertThat(works.at("/rates/prefill_tokens_per_second").asDouble()).isPositive();
        assertThat(works.at("/rates/decode_tokens_per_second").asDouble()).isPositive();
        assertThat(works.path("load_seconds").asDouble(-1)).isZero();
        assertThat(Metrics.value(penstock, "penstock_node_load_seconds{node=\"four-1\"}"))
                .hasValue(0);

        hangs.script(_ -> Answer.tokens(4).every(Duration.ofMillis(25)));
        long since = System.nanoTime();
        List<String> more = new ArrayList<>();
        while (Metrics.value(penstock, "penstock_node_breaker{node=\"four-0\"}").orElseThrow() != 0) {
            more.add("works-" + more.size());
            send(List.of(more.getLast()), "four");
            replies.awaitOutcomes(List.of(more.getLast()), PATIENCE);
        }
        Duration again = Duration.ofNanos(System.nanoTime() - since);

        System.out.printf(
                "1,000 jobs in %d ms, one of four nodes hangs: %d requests reached it (%d slots); it served again after %d ms%n",
                took.toMillis(), reached, SLOTS, again.toMillis());
        assertThat(again).isLessThanOrEqualTo(INTERVAL.multipliedBy(2));
        assertThat(replies.outcomes(more)).isEqualTo(Map.of("completed", more.size()));
    }

    @Test
    void all_streams_of_a_node_that_restarts_go_on_there_and_keep_their_places() throws InterruptedException {
        large.script(_ -> Answer.tokens(2_000).every(Duration.ofMillis(50)));
        small.script(_ -> Answer.tokens(2_000).every(Duration.ofMillis(50)));
        List<String> ids = IntStream.range(0, 66).mapToObj(i -> "stream-" + i).toList();
        send(ids, "two");
        large.awaitInFlight(64, PATIENCE);
        small.awaitInFlight(2, PATIENCE);
        // the streams continue their texts, so this is more than what they have
        large.script(_ -> Answer.tokens(400).every(Duration.ofMillis(10)));
        small.script(_ -> Answer.tokens(400).every(Duration.ofMillis(10)));

        Instant stopped = Instant.now();
        large.stop();
        Metrics.await(penstock, WAITING, "has the 64 streams", waiting -> waiting >= 64, PATIENCE);
        List<String> later = IntStream.range(0, 20).mapToObj(i -> "later-" + i).toList();
        send(later, "two");
        // the node is away for 3 s in all
        Thread.sleep(Duration.ofSeconds(3).minus(Duration.between(stopped, Instant.now())));
        Instant back = Instant.now();
        large.restart();
        large.await(stats -> stats.inFlight() >= 60, PATIENCE);
        Duration until = Duration.between(back, Instant.now());
        List<String> moved = ids.stream()
                .filter(id -> replies.count(id, EventMark.Kind.STARTED) > 0 && isOnLarge(id))
                .toList();
        replies.awaitOutcomes(moved, PATIENCE);
        replies.awaitOutcomes(later, PATIENCE);

        System.out.printf(
                "64 streams, their node restarts after 3 s: %d run there again after %d ms: %s%n",
                moved.size(), until.toMillis(), replies.outcomes(moved));
        assertThat(moved).hasSize(64);
        assertThat(replies.outcomes(moved)).isEqualTo(Map.of("completed", 64));
        assertThat(moved).allSatisfy(id -> assertThat(starts(id)).as(id).hasSizeGreaterThanOrEqualTo(2));
        for (String id : later) {
            assertThat(Instant.parse(starts(id).getFirst().at("/job/at").asText()))
                    .as("%s overtook a stream", id)
                    .isAfterOrEqualTo(back);
        }
        assertThat(Metrics.value(penstock, "penstock_node_breaker{node=\"large\"}"))
                .hasValue(0);
    }

    /** Returns whether the job's first attempt was at the large node. */
    private static boolean isOnLarge(String id) {
        return starts(id).getFirst().at("/job/node").asText().equals("large");
    }

    private static List<JsonNode> starts(String id) {
        return replies.all(id).stream()
                .filter(event -> event.mark().kind() == EventMark.Kind.STARTED)
                .map(ReplyLog.Event::json)
                .toList();
    }

    private static JsonNode node(String name) throws InterruptedException {
        return Rest.get(penstock.url(), "/v1/nodes/" + name).json();
    }

    private static void send(List<String> ids, String pool) throws InterruptedException {
        try (JobSender jobs = new JobSender(broker.bootstrap())) {
            for (String id : ids) {
                jobs.sendRaw(
                        null,
                        "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],\"job\":{\"id\":\"%s\",\"pool\":\"%s\"}}"
                                .formatted(id, pool)
                                .getBytes(StandardCharsets.UTF_8));
            }
            jobs.flush();
        }
    }
}
