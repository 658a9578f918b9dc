package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.EventMark;
import dev.penstock.settings.read.YamlSettings;
import dev.penstock.testkit.Broker;
import dev.penstock.testkit.JobSender;
import dev.penstock.testkit.Metrics;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.ReplyLog;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.FakeUpstream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** A silent node gives way to a second one, and a running job of low priority to a waiting one. */
@Tag("alone")
class GivingWayIT {
    private static final Duration PATIENCE = Duration.ofSeconds(90);
    private static final Duration AFTER = Duration.ofMillis(300);
    private static final Duration STALL = Duration.ofSeconds(5);
    private static final Duration USUAL = Duration.ofMillis(20);
    private static final int TENTH = 10;
    private static final int HEDGED = 200;
    private static final int TOKENS = 200;
    private static final String CHAT = "/v1/chat/completions";

    private static final String RULES = """
            penstock:
              routes:
                - {name: hedged, when: {metadata: {kind: hedged}}, to: [first, second], hedge: {after: 300ms}}
                - {name: plain, when: {metadata: {kind: plain}}, to: [first, second]}
                - {name: urgent, when: {metadata: {kind: urgent}}, to: solo, preempt: true}
                - {name: rest, to: solo}
            """;

    private static Broker broker;
    private static FakeUpstream first;
    private static FakeUpstream second;
    private static FakeUpstream solo;
    private static PenstockProcess penstock;
    private static ReplyLog replies;

    @BeforeAll
    static void start() throws InterruptedException {
        broker = Broker.start();
        first = FakeUpstream.start();
        second = FakeUpstream.start();
        solo = FakeUpstream.start();
        PenstockProcess.Builder builder = PenstockProcess.with(broker.bootstrap())
                .node("first", "vllm", URI.create(first.url()), 32)
                .node("second", "vllm", URI.create(second.url()), 32)
                .node("solo", "vllm", URI.create(solo.url()), 1);
        YamlSettings.keys(RULES).forEach(builder::config);
        penstock = builder.startReady();
        replies = ReplyLog.follow(broker.bootstrap());
        for (String node : List.of("first", "second", "solo")) {
            Metrics.await(penstock, "penstock_node_up{node=\"%s\"}".formatted(node), 1, PATIENCE);
        }
    }

    @AfterAll
    static void stop() {
        replies.close();
        penstock.close();
        List.of(first, second, solo).forEach(FakeUpstream::close);
        broker.close();
    }

    private static void send(List<String> ids, String kind, String priority) throws InterruptedException {
        try (JobSender jobs = new JobSender(broker.bootstrap())) {
            for (String id : ids) {
                jobs.sendRaw(
                        null,
                        "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],\"metadata\":{\"kind\":\"%s\"},\"job\":{\"id\":\"%s\",\"priority\":\"%s\"}}"
                                .formatted(kind, id, priority)
                                .getBytes(StandardCharsets.UTF_8));
            }
            jobs.flush();
        }
    }

    /** Runs jobs ten at a time, and returns their times to the first token, sorted. */
    private static List<Long> run(String kind, int count) throws InterruptedException {
        List<String> ids =
                IntStream.range(0, count).mapToObj(i -> kind + "-" + i).toList();
        for (int i = 0; i < count; i += TENTH) {
            List<String> some = ids.subList(i, i + TENTH);
            send(some, kind, "normal");
            replies.awaitOutcomes(some, PATIENCE);
        }
        assertThat(replies.outcomes(ids)).isEqualTo(Map.of("completed", count));
        for (String id : ids) {
            assertThat(replies.count(id, EventMark.Kind.STARTED)).as(id).isEqualTo(1);
            assertThat(replies.count(id, EventMark.Kind.COMPLETED)).as(id).isEqualTo(1);
            assertThat(replies.chunkText(id)).as(id).isEqualTo(replies.completedText(id));
        }
        return ids.stream()
                .map(id -> replies.outcome(id).json().at("/job/first_token_ms").asLong())
                .sorted()
                .toList();
    }

    private static long metric(String name) throws InterruptedException {
        return (long) Metrics.value(penstock, name).orElse(0);
    }

    /** Each tenth request at the first node gets its first token after 5 s. */
    @Test
    void with_a_second_node_the_first_token_comes_soon_although_the_first_node_stalls() throws InterruptedException {
        AtomicInteger requests = new AtomicInteger();
        Answer usual = Answer.tokens(4).firstTokenAfter(USUAL);
        first.script(_ -> requests.incrementAndGet() % TENTH == 0 ? usual.firstTokenAfter(STALL) : usual);
        second.script(_ -> usual);

        List<Long> plain = run("plain", 2 * TENTH);
        List<Long> hedged = run("hedged", HEDGED);

        long median = hedged.get(HEDGED / 2);
        long p99 = hedged.get(HEDGED * 99 / 100);
        long extra = metric("penstock_hedged_total");
        System.out.printf(
                "%d jobs, each tenth stalls %d ms at its first node, hedged after %d ms: first token p50 %d ms, p99 %d ms, %d extra calls; without hedging the slowest of %d: %d ms%n",
                HEDGED, STALL.toMillis(), AFTER.toMillis(), median, p99, extra, plain.size(), plain.getLast());
        assertThat(plain.getLast()).isGreaterThanOrEqualTo(STALL.toMillis());
        assertThat(p99).isGreaterThanOrEqualTo(AFTER.toMillis());
        assertThat((double) p99).isLessThan(1.5 * AFTER.toMillis() + median);
        assertThat(extra)
                .isGreaterThanOrEqualTo(HEDGED / TENTH)
                .isEqualTo(second.stats().on(CHAT));
        assertThat(metric("penstock_attempts_total{node=\"first\",outcome=\"hedged\"}")
                        + metric("penstock_attempts_total{node=\"second\",outcome=\"hedged\"}"))
                .isEqualTo(extra);
        assertThat(metric("penstock_node_breaker{node=\"first\"}")).isZero();
        first.awaitInFlight(0, PATIENCE);
        second.awaitInFlight(0, PATIENCE);
    }

    @Test
    void a_job_that_may_preempt_gets_the_only_slot_and_the_other_one_completes_later() throws InterruptedException {
        String whole = Answer.unicode(TOKENS).joined();
        solo.script(_ -> Answer.unicode(TOKENS).every(Duration.ofMillis(20)));

        startLow("patient-low");
        send(List.of("patient-high"), "other", "high");
        replies.awaitOutcomes(List.of("patient-low", "patient-high"), PATIENCE);
        assertThat(replies.count("patient-low", EventMark.Kind.STARTED)).isEqualTo(1);
        List<ReplyLog.Event> text = replies.pieces("patient-low");
        // the slot is free a moment before the last chunk and the outcome are on the broker
        Instant nearlyWhole = Instant.ofEpochMilli(text.get(text.size() * 3 / 4).timestamp());
        assertThat(startOf("patient-high", 0)).as("it waits").isAfter(nearlyWhole);

        startLow("low");
        send(List.of("high"), "urgent", "high");
        replies.awaitOutcomes(List.of("low", "high"), PATIENCE);

        List<JsonNode> starts = starts("low");
        assertThat(startOf("high", 0)).isBefore(startOf("low", 1));
        assertThat(endOf("high")).isBefore(endOf("low"));
        assertThat(starts).hasSize(2);
        assertThat(starts("high")).hasSize(1);
        assertThat(starts.get(1).at("/job/resumed_from/attempt").asInt()).isEqualTo(1);
        assertThat(starts.get(1).at("/job/resumed_from/seq").asLong()).isPositive();
        for (String id : List.of("low", "high")) {
            assertThat(outcomes(id)).as(id).isEqualTo(1);
            assertThat(replies.completedText(id)).as(id).isEqualTo(whole);
            assertThat(replies.chunkText(id)).as(id).isEqualTo(whole);
        }
        assertThat(metric("penstock_preempted_total")).isEqualTo(1);
        assertThat(metric("penstock_attempts_total{node=\"solo\",outcome=\"preempted\"}"))
                .isEqualTo(1);
        assertThat(metric("penstock_node_breaker{node=\"solo\"}")).isZero();
    }

    private static void startLow(String id) throws InterruptedException {
        send(List.of(id), "other", "low");
        replies.await(() -> replies.pieces(id).size() >= 3, PATIENCE, () -> id + " has no text");
    }

    private static List<JsonNode> starts(String id) {
        return replies.all(id).stream()
                .filter(event -> event.mark().kind() == EventMark.Kind.STARTED)
                .map(ReplyLog.Event::json)
                .toList();
    }

    private static Instant startOf(String id, int number) {
        return Instant.parse(starts(id).get(number).at("/job/at").asText());
    }

    private static Instant endOf(String id) {
        return Instant.ofEpochMilli(replies.outcome(id).timestamp());
    }

    private static long outcomes(String id) {
        return replies.all(id).stream()
                .filter(event -> event.mark().kind().isOutcome())
                .count();
    }
}
