package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.EventMark;
import dev.penstock.testkit.JobSender;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.ReplyLog;
import dev.penstock.testkit.Rest;
import dev.penstock.testkit.Rig;
import dev.penstock.testkit.upstream.Answer;
import java.net.URI;
import java.time.Duration;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What a job topic decides: whose its jobs are, how urgent, and how many slots they hold at most. */
class TopicsIT {
    private static final Duration PATIENCE = Duration.ofMinutes(2);
    private static final int SLOTS = 8;

    private Rig rig;

    @BeforeEach
    void start() {
        rig = Rig.start("topics");
    }

    @AfterEach
    void stop() {
        rig.close();
    }

    private PenstockProcess.Builder twoTopics() {
        return rig.replica("replica", SLOTS)
                .config("penstock.intake.topics[0].name", "jobs-acme")
                .config("penstock.intake.topics[0].tenant", "acme")
                .config("penstock.intake.topics[0].slots", "2")
                .config("penstock.intake.topics[1].name", "jobs-all");
    }

    @Test
    void a_topic_holds_no_more_than_its_slots_and_another_has_the_rest() throws InterruptedException {
        rig.fake()
                .script(request -> Answer.tokens(1)
                        .firstTokenAfter(Duration.ofMillis(request.prompt().equals("acme") ? 1_500 : 200)));
        rig.start(twoTopics());
        List<String> acme = Rig.ids("acme", 10);
        List<String> others = Rig.ids("other", 30);

        send("jobs-acme", acme, "acme");
        var _ = rig.fake().await(stats -> stats.inFlight() == 2, PATIENCE);
        send("jobs-all", others, "other");
        rig.replies().awaitOutcomes(others, PATIENCE);

        assertThat(acme)
                .as("the other topic's are done before")
                .anyMatch(id -> !rig.replies().reading(id).isClosed());
        rig.replies().awaitOutcomes(acme, PATIENCE);
        assertThat(mostAtOnce(acme)).isEqualTo(2);
    }

    /** By their events: how many had started, and were not done. */
    private int mostAtOnce(List<String> ids) {
        List<Map.Entry<Long, Integer>> steps = ids.stream()
                .flatMap(id -> Stream.of(
                        Map.entry(started(id).timestamp(), 1),
                        Map.entry(rig.replies().outcome(id).timestamp(), -1)))
                .sorted(Map.Entry.<Long, Integer>comparingByKey()
                        .thenComparing(Map.Entry.comparingByValue(Comparator.naturalOrder())))
                .toList();
        int now = 0;
        int most = 0;
        for (Map.Entry<Long, Integer> step : steps) {
            now += step.getValue();
            most = Math.max(most, now);
        }
        return most;
    }

    private ReplyLog.Event started(String id) {
        return rig.replies().all(id).stream()
                .filter(event -> event.mark().kind() == EventMark.Kind.STARTED)
                .findFirst()
                .orElseThrow();
    }

    @Test
    void its_jobs_are_its_tenants_and_a_priority_without_a_topic_is_refused() throws InterruptedException {
        URI url = rig.start(twoTopics()).url();
        send("jobs-acme", List.of("theirs"), "hello");
        send("jobs-all", List.of("ours"), "hello");
        rig.replies().awaitOutcomes(List.of("theirs", "ours"), PATIENCE);

        assertThat(tenant(url, "theirs")).isEqualTo("acme");
        assertThat(tenant(url, "ours")).isEqualTo("default");
        Rest.Reply urgent = Rest.post(
                url, "/v1/jobs", "application/json", "{\"prompt\":\"hello\",\"job\":{\"priority\":\"high\"}}");
        assertThat(urgent.status()).isEqualTo(400);
        assertThat(urgent.body()).contains("no topic takes priority 'high'", "jobs-all (normal)");
    }

    @Test
    void a_dead_letter_goes_back_to_the_topic_that_it_came_from() throws InterruptedException {
        URI url = rig.start(twoTopics()).url();
        send("jobs-acme", List.of("twice"), "one body");
        rig.replies().awaitOutcomes(List.of("twice"), PATIENCE);
        send("jobs-acme", List.of("twice"), "another body");
        rig.replies()
                .await(
                        () -> rig.replies().count("twice", EventMark.Kind.REJECTED) == 1,
                        PATIENCE,
                        () -> "of twice there is " + rig.replies().all("twice"));
        String letter = Rest.get(url, "/v1/dlq").json().at("/data/0/id").asText();

        Rest.Reply retried = Rest.post(url, "/v1/dlq/%s/retry".formatted(letter), "application/json", "");

        assertThat(retried.status()).as(retried.body()).isEqualTo(202);
        String again = retried.json().path("id").asText();
        rig.replies().awaitOutcomes(List.of(again), PATIENCE);
        assertThat(rig.fake().requests().getLast().request().prompt()).isEqualTo("another body");
        assertThat(tenant(url, again)).isEqualTo("acme");
    }

    @Test
    void low_jobs_keep_their_share_while_high_ones_never_end() throws InterruptedException {
        rig.fake().script(_ -> Answer.tokens(1).firstTokenAfter(Duration.ofMillis(50)));
        rig.start(rig.replica("replica", SLOTS).config("penstock.intake.low-share", "0.2"));
        List<String> high = Rig.ids("high", 1_000);
        List<String> low = Rig.ids("low", 1_500);
        send("prompt-jobs-low", low, "low");
        send("prompt-jobs-high", high, "high");
        rig.replies().awaitOutcomes(high, PATIENCE);

        List<String> order = Stream.concat(high.stream(), low.stream())
                .filter(id -> rig.replies().count(id, EventMark.Kind.STARTED) > 0)
                .sorted(Comparator.comparingLong(id -> started(id).timestamp()))
                .toList();
        // both wait from the first high one on, and until the last one's start
        int first =
                order.indexOf(order.stream().filter(high::contains).findFirst().orElseThrow());
        List<String> both = order.subList(first + 100, first + 900);
        long lowOnes = both.stream().filter(low::contains).count();

        System.out.printf(
                "of 800 starts while high and low ones waited %d were low ones; their share is 0.2%n", lowOnes);
        // more than its share where high ones came too slowly for a moment
        assertThat(lowOnes).isBetween(130L, 400L);
        assertThat(low)
                .as("they are not done yet")
                .anyMatch(id -> !rig.replies().reading(id).isClosed());
    }

    private static String tenant(URI url, String id) throws InterruptedException {
        JsonNode job = Rest.get(url, "/v1/jobs/" + id, "Prefer", "wait=30").json();
        return job.path("tenant").asText();
    }

    private void send(String topic, List<String> ids, String prompt) throws InterruptedException {
        try (JobSender jobs = new JobSender(rig.broker().bootstrap(), topic, Map.of())) {
            ids.forEach(id -> jobs.send(id, prompt));
            jobs.flush();
        }
    }
}
