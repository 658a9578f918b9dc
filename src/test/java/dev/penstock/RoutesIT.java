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
import dev.penstock.testkit.Rest;
import dev.penstock.testkit.TestEnvironment;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.FakeUpstream;
import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Jobs run where their routing rules send them, and where {@code POST /v1/route} says. */
class RoutesIT {
    private static final Duration PATIENCE = Duration.ofSeconds(90);
    private static final String LARGE = "meta-llama/Llama-3.3-70B-Instruct";
    private static final String SMALL = "llama3.2:3b";
    private static final int MIXED = 1_000;

    private static Broker broker;
    private static FakeUpstream gpu;
    private static FakeUpstream cpu;

    @BeforeAll
    static void start() {
        broker = Broker.start();
        gpu = FakeUpstream.start().models(LARGE).script(_ -> Answer.tokens(3).every(Duration.ofMillis(30)));
        cpu = FakeUpstream.start().models(SMALL).script(_ -> Answer.tokens(3).every(Duration.ofMillis(30)));
    }

    @AfterAll
    static void stop() {
        gpu.close();
        cpu.close();
        broker.close();
    }

    /** Returns the indented block that follows the heading about routing rules. */
    private static String readmeRules() throws IOException {
        String readme = Files.readString(TestEnvironment.projectDir().resolve("README.md"));
        String section = readme.substring(readme.indexOf("\n## Routing rules\n"));
        List<String> block = section.lines()
                .dropWhile(line -> !line.startsWith("    penstock:"))
                .takeWhile(line -> line.startsWith("    "))
                .map(line -> line.substring(4))
                .toList();
        return String.join("\n", block) + "\n";
    }

    private static PenstockProcess.Builder replica(String name, String yaml) {
        PenstockProcess.Builder builder =
                PenstockProcess.with(broker.bootstrap()).name(name).config("penstock.groups-prefix", name + ".");
        for (String topic :
                List.of("jobs-high", "jobs", "jobs-low", "deferred", "replies", "commands", "dlq", "settings")) {
            builder.config("penstock.topics." + topic, name + "-" + topic);
        }
        YamlSettings.keys(yaml).forEach(builder::config);
        return builder;
    }

    private static String chat(String id, String fields) {
        return "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],%s\"job\":{\"id\":\"%s\"}}"
                .formatted(fields, id);
    }

    private static void send(String topic, Map<String, String> jobs) throws InterruptedException {
        try (JobSender sender = new JobSender(broker.bootstrap(), topic, Map.of())) {
            jobs.values().forEach(job -> sender.sendRaw(null, job.getBytes(StandardCharsets.UTF_8)));
            sender.flush();
        }
    }

    private static String nodeOf(ReplyLog replies, String id) {
        ReplyLog.Event outcome = replies.outcome(id);
        assertThat(outcome.mark().kind()).as(outcome.value()).isEqualTo(EventMark.Kind.COMPLETED);
        return outcome.json().path("job").path("node").asText();
    }

    @Test
    void the_three_rules_of_the_readme_send_large_jobs_to_vllm_and_small_ones_to_ollama_and_overflow_one_way()
            throws Exception {
        try (PenstockProcess penstock = replica("readme", readmeRules())
                        .node("gpu-a", "vllm", URI.create(gpu.url()), 4)
                        .node("cpu-a", "ollama", URI.create(cpu.url()), 2)
                        .startReady();
                ReplyLog replies = ReplyLog.follow(broker.bootstrap(), "readme-replies")) {
            Map<String, String> large = new LinkedHashMap<>();
            Map<String, String> jobs = new LinkedHashMap<>();
            for (int i = 0; i < 60; i++) {
                large.put("large-" + i, chat("large-" + i, "\"model\":\"large\","));
                jobs.put("small-" + i, chat("small-" + i, i % 2 == 0 ? "" : "\"model\":\"small\","));
                jobs.put("rest-" + i, chat("rest-" + i, "\"model\":\"%s\",".formatted(SMALL)));
            }
            jobs.putAll(large);

            send("readme-jobs", jobs);
            replies.awaitOutcomes(jobs.keySet(), PATIENCE);

            TreeMap<String, TreeSet<String>> nodes = new TreeMap<>();
            jobs.keySet()
                    .forEach(id -> nodes.computeIfAbsent(id.replaceFirst("-.*", ""), _ -> new TreeSet<>())
                            .add(nodeOf(replies, id)));
            assertThat(nodes)
                    .containsEntry("large", new TreeSet<>(List.of("gpu-a")))
                    .containsEntry("small", new TreeSet<>(List.of("cpu-a", "gpu-a")))
                    .containsEntry("rest", new TreeSet<>(List.of("cpu-a")));
            assertThat(Metrics.value(penstock, "penstock_route_total{pool=\"gpu\",rule=\"large\"}"))
                    .hasValue(60);
            assertThat(Metrics.value(penstock, "penstock_route_total{pool=\"cpu\",rule=\"rest\"}"))
                    .hasValue(60);
            assertThat(Metrics.value(penstock, "penstock_route_total{pool=\"gpu\",rule=\"small\"}")
                            .orElse(0))
                    .isPositive();
        }
    }

    private static final String RULES = """
            penstock:
              profiles:
                large: {vllm: %s}
              routes:
                - {name: big, when: {profile: large}, to: [gpu]}
                - {name: gold, when: {metadata: {tier: gold}}, to: [vip], set: {priority: high}}
                - {name: code, when: {has: code}, to: [dev], set: {parameters: {temperature: 0.125}}}
                - {name: german, when: {language: de}, to: [europe, gpu]}
                - {name: long, when: {min-prompt-tokens: 200}, to: [cloud]}
                - {name: nowhere, when: {metadata: {tier: none}}, to: [mars]}
                - {name: canary, when: {task: chat}, to: [{split: {gpu: 70, canary: 30}}]}
            """.formatted(LARGE);

    private static String mixed(String id, int i) {
        String hi = "\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}]";
        String job = switch (i % 8) {
            case 0 -> "\"model\":\"large\"," + hi.formatted("Hi");
            case 1 -> "\"metadata\":{\"tier\":\"gold\"}," + hi.formatted("Hi");
            case 2 -> hi.formatted("What is wrong?\\n```\\nx = 1\\n```");
            case 3 -> hi.formatted("Warum ist der Himmel blau und nicht rot?");
            case 4 -> hi.formatted("word ".repeat(200));
            case 5 -> "\"prompt\":\"Once upon a time\"";
            case 6 -> "\"temperature\":0.5," + hi.formatted("Fix ```y```");
            default -> hi.formatted("Hi");
        };
        return "{%s,\"job\":{\"id\":\"%s\"}}".formatted(job, id);
    }

    @Test
    void the_explanation_agrees_with_where_a_thousand_mixed_jobs_run() throws Exception {
        PenstockProcess.Builder builder = replica("mixed", RULES);
        for (String pool : List.of("gpu", "vip", "dev", "europe", "cloud", "canary")) {
            builder.node("node-" + pool, "vllm", URI.create(gpu.url()), MIXED)
                    .config("penstock.nodes.node-" + pool + ".pool", pool);
        }
        gpu.keep(2 * MIXED);
        try (PenstockProcess penstock = builder.startReady();
                ReplyLog replies = ReplyLog.follow(broker.bootstrap(), "mixed-replies")) {
            long before = gpu.stats().requests();
            Map<String, String> jobs = new LinkedHashMap<>();
            Map<String, String> explained = new LinkedHashMap<>();
            for (int i = 0; i < MIXED; i++) {
                String id = "job-" + i;
                jobs.put(id, mixed(id, i));
                JsonNode route = explain(penstock, jobs.get(id));
                explained.put(
                        id,
                        route.at("/candidates/0/node").asText() + " by "
                                + route.path("rule").asText("none"));
            }
            assertThat(gpu.stats().requests()).as("nothing runs").isEqualTo(before);

            send("mixed-jobs", jobs);
            replies.awaitOutcomes(jobs.keySet(), PATIENCE);

            List<String> different = new ArrayList<>();
            explained.forEach((id, where) -> {
                String node = nodeOf(replies, id);
                if (!where.startsWith(node + " by ")) {
                    different.add("%s: %s, but it ran at %s".formatted(id, where, node));
                }
            });
            assertThat(different).isEmpty();
            assertThat(new TreeSet<>(explained.values()))
                    .containsExactly(
                            "node-canary by canary",
                            "node-cloud by long",
                            "node-dev by code",
                            "node-europe by german",
                            "node-gpu by big",
                            "node-gpu by canary",
                            "node-gpu by none",
                            "node-vip by gold");
            assertThat(temperatures("x = 1"))
                    .as("a rule's parameters are defaults")
                    .hasSize(MIXED / 8)
                    .containsOnly(0.125);
            assertThat(temperatures("```y```"))
                    .as("the job's own fields override them")
                    .hasSize(MIXED / 8)
                    .containsOnly(0.5);
            pinsAndMistakes(penstock, replies);
        }
    }

    /** Returns the temperatures of the requests whose prompt has this text. */
    private static List<Double> temperatures(String text) {
        return gpu.requests().stream()
                .filter(exchange -> exchange.request().prompt().contains(text))
                .map(exchange -> exchange.request().body().path("temperature").asDouble())
                .toList();
    }

    private static void pinsAndMistakes(PenstockProcess penstock, ReplyLog replies) throws InterruptedException {
        String gold =
                "{\"prompt\":\"Hi\",\"metadata\":{\"tier\":\"gold\"},\"job\":{\"id\":\"pinned\",\"pool\":\"dev\"}}";
        JsonNode pinned = explain(penstock, gold);
        assertThat(pinned.path("rule").asText()).isEqualTo("gold");
        assertThat(pinned.path("set").toString()).isEqualTo("{\"priority\":\"high\"}");
        assertThat(pinned.path("candidates")).hasSize(1);
        assertThat(pinned.at("/candidates/0/node").asText()).isEqualTo("node-dev");
        assertThat(pinned.at("/candidates/0/model").asText()).isEqualTo(LARGE);
        assertThat(pinned.at("/candidates/0/why").asText())
                .as("the jobs before have taught the node's rate, which gives the score")
                .matches(
                        "pool dev, 0 of 1000 slots in use; %s s to the first token, of which 0\\.00 s for the prompts before it"
                                .formatted(String.format(
                                        Locale.ROOT,
                                        "%.2f",
                                        pinned.at("/candidates/0/score").asDouble())));
        assertThat(pinned.path("excluded"))
                .hasSize(5)
                .allMatch(node -> node.path("why").asText().equals("the job pins pool 'dev'"));
        assertThat(pinned.path("estimated_tokens").asInt()).isEqualTo(1);
        String mars = "{\"prompt\":\"Hi\",\"metadata\":{\"tier\":\"none\"},\"job\":{\"id\":\"mars\"}}";
        assertThat(explain(penstock, mars).path("candidates")).isEmpty();
        send("mixed-jobs", Map.of("pinned", gold, "mars", mars));
        replies.awaitOutcomes(List.of("pinned", "mars"), PATIENCE);
        assertThat(nodeOf(replies, "pinned")).isEqualTo("node-dev");
        assertThat(replies.outcome("mars").value())
                .contains("no_node", "rule 'nowhere' sends to mars, and there is no such pool and no such node");
        Rest.Reply wrong = Rest.post(penstock.url(), "/v1/route", "application/json", "{\"prompt\":1}");
        assertThat(wrong.status()).isEqualTo(400);
        assertThat(wrong.code()).isEqualTo("invalid_request");
    }

    private static JsonNode explain(PenstockProcess penstock, String job) throws InterruptedException {
        Rest.Reply reply = Rest.post(penstock.url(), "/v1/route", "application/json", job);
        assertThat(reply.status()).as(reply.body()).isEqualTo(200);
        return reply.json();
    }
}
