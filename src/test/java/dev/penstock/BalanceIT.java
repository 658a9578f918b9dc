package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.EventMark;
import dev.penstock.settings.read.YamlSettings;
import dev.penstock.testkit.Broker;
import dev.penstock.testkit.JobSender;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.ReplyLog;
import dev.penstock.testkit.Rest;
import dev.penstock.testkit.WireSchemas;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.FakeUpstream;
import dev.penstock.testkit.upstream.ServedModel;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Which node of a pool a job gets by its rule, its session and the length of its prompt. */
class BalanceIT {
    private static final Duration PATIENCE = Duration.ofSeconds(90);
    private static final WireSchemas SCHEMAS = new WireSchemas();
    /** No node of four can have over four times the mean, so no prompt leaves its node on a slow machine either. */
    private static final String RULES = """
            penstock:
              nodes:
                gpu-a: {weight: 3}
              routes:
                - {name: prefix, when: {metadata: {by: prefix}}, to: gpu, balance: prefix-affinity, bound: 5}
                - {name: weight, when: {metadata: {by: weight}}, to: gpu, balance: weighted}
                - {name: short, when: {metadata: {by: short}}, to: small, on-overflow: drop-oldest}
                - {name: exact, when: {metadata: {by: exact}}, to: [small, gpu], on-overflow: fail}
                - {name: next, when: {metadata: {by: next}}, to: [small, gpu]}
                - {name: rest, to: gpu}
            """;

    private static Broker broker;
    private static FakeUpstream large;
    private static FakeUpstream small;

    @BeforeAll
    static void start() {
        broker = Broker.start();
        large = FakeUpstream.start()
                .models(List.of(new ServedModel("tiny", 100_000, true)))
                .script(_ -> Answer.tokens(3).every(Duration.ofMillis(20)));
        small = FakeUpstream.start()
                .models(List.of(new ServedModel("tiny", 200, true)))
                .script(_ -> Answer.tokens(3));
    }

    @AfterAll
    static void stop() {
        large.close();
        small.close();
        broker.close();
    }

    private static String chat(String id, String by, String session, String... texts) {
        StringBuilder messages = new StringBuilder();
        for (int i = 0; i < texts.length; i++) {
            String role = i == 0 ? "system" : i % 2 == 1 ? "user" : "assistant";
            messages.append("%s{\"role\":\"%s\",\"content\":\"%s\"}".formatted(i == 0 ? "" : ",", role, texts[i]));
        }
        return "{\"messages\":[%s],\"max_tokens\":50,\"metadata\":{\"by\":\"%s\"},\"job\":{\"id\":\"%s\"%s}}"
                .formatted(messages, by, id, session.isEmpty() ? "" : ",\"session\":\"" + session + "\"");
    }

    @Test
    void the_balance_of_a_rule_the_session_and_the_length_of_a_prompt_decide_about_the_node() throws Exception {
        PenstockProcess.Builder builder = PenstockProcess.with(broker.bootstrap());
        YamlSettings.keys(RULES).forEach(builder::config);
        for (String node : List.of("gpu-a", "gpu-b", "gpu-c", "gpu-d")) {
            builder.node(node, "vllm", URI.create(large.url()), 200);
        }
        builder.node("small-a", "vllm", URI.create(small.url()), 32).config("penstock.nodes.small-a.pool", "small");
        Map<String, String> jobs = new LinkedHashMap<>();
        for (int i = 0; i < 24; i++) {
            for (String each : List.of("one", "two", "three")) {
                String prefix = "prefix-" + each + "-" + i;
                jobs.put(
                        prefix,
                        chat(prefix, "prefix", "", "You are " + each, "The same question " + "x".repeat(1_100) + i));
                String session = "session-" + each + "-" + i;
                jobs.put(session, chat(session, "rest", each, "Be brief", "Question " + i));
            }
        }
        Map<String, String> weights = new LinkedHashMap<>();
        for (int i = 0; i < 80; i++) {
            weights.put("weight-" + i, chat("weight-" + i, "weight", "", "Be brief", "Question " + i));
        }
        String turn = "word ".repeat(40);
        jobs.put("short", chat("short", "short", "", "Be brief", turn, turn, turn, turn, "the last question"));
        Map<String, String> tooLong = Map.of(
                "exact", chat("exact", "exact", "", "Be brief", "word ".repeat(800)),
                "next", chat("next", "next", "", "Be brief", "word ".repeat(800)));

        try (PenstockProcess penstock = builder.startReady();
                ReplyLog replies = ReplyLog.follow(broker.bootstrap(), "prompt-replies")) {
            String explained = explain(penstock, jobs.getOrDefault("prefix-one-0", ""))
                    .at("/candidates/0/node")
                    .asText();
            // first the jobs that need the usual ratio, because the answers of the scripted server teach another one
            JsonNode next = explain(penstock, tooLong.getOrDefault("next", ""));
            assertThat(next.path("excluded").toString()).contains("small-a", "the limit there is 200");
            run(tooLong, replies);
            run(weights, replies);
            run(jobs, replies);
            jobs.putAll(weights);

            TreeMap<String, TreeSet<String>> nodes = new TreeMap<>();
            jobs.keySet().stream()
                    .filter(id -> id.startsWith("prefix-") || id.startsWith("session-"))
                    .forEach(id -> nodes.computeIfAbsent(id.replaceFirst("-\\d+$", ""), _ -> new TreeSet<>())
                            .add(node(replies, id)));
            assertThat(nodes).as("each beginning and each session has one node").hasSize(6);
            assertThat(nodes.values()).allMatch(some -> some.size() == 1);
            assertThat(nodes.get("prefix-one")).containsExactly(explained);
            long heavy = Stream.iterate(0, i -> i < 80, i -> i + 1)
                    .filter(i -> node(replies, "weight-" + i).equals("gpu-a"))
                    .count();
            assertThat(heavy).as("gpu-a has weight 3 of 6").isBetween(30L, 50L);

            ReplyLog.Event shortened = replies.outcome("short");
            assertThat(node(replies, "short")).isEqualTo("small-a");
            assertThat(shortened.json().at("/job/dropped_turns").asInt())
                    .as("200 tokens have room for one of two old turns beside an answer of 50")
                    .isEqualTo(1);
            SCHEMAS.check("event.schema.json", shortened.value());
            assertThat(node(replies, "next")).startsWith("gpu-");
            assertThat(replies.outcome("exact").json().at("/error/code").asText())
                    .isEqualTo("context_length_exceeded");
            assertThat(replies.outcome("exact").json().at("/error/message").asText())
                    .contains("its answer up to 50", "small-a 200");
            explanations(penstock, jobs);
        }
    }

    private static void explanations(PenstockProcess penstock, Map<String, String> jobs) throws InterruptedException {
        JsonNode weighted = explain(penstock, jobs.getOrDefault("weight-0", ""));
        assertThat(weighted.at("/candidates/0/why").asText()).contains("0 in flight for weight 3: 0.00");
        JsonNode session = explain(penstock, jobs.getOrDefault("session-one-0", ""));
        assertThat(session.at("/candidates/1/score").asInt()).isEqualTo(2);
        assertThat(session.at("/candidates/1/why").asText()).contains("place 2 in the order of the session");
    }

    private static void run(Map<String, String> jobs, ReplyLog replies) throws InterruptedException {
        try (JobSender sender = new JobSender(broker.bootstrap(), "prompt-jobs", Map.of())) {
            jobs.values().forEach(job -> sender.sendRaw(null, job.getBytes(StandardCharsets.UTF_8)));
            sender.flush();
        }
        replies.awaitOutcomes(jobs.keySet(), PATIENCE);
    }

    private static String node(ReplyLog replies, String id) {
        ReplyLog.Event outcome = replies.outcome(id);
        assertThat(outcome.mark().kind()).as(outcome.value()).isEqualTo(EventMark.Kind.COMPLETED);
        return outcome.json().path("job").path("node").asText();
    }

    private static JsonNode explain(PenstockProcess penstock, String job) throws InterruptedException {
        Rest.Reply reply = Rest.post(penstock.url(), "/v1/route", "application/json", job);
        assertThat(reply.status()).as(reply.body()).isEqualTo(200);
        return reply.json();
    }
}
