package dev.penstock.deploy;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.penstock.testkit.Broker;
import dev.penstock.testkit.JobSender;
import dev.penstock.testkit.Metrics;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.ReplyLog;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.FakeUpstream;
import dev.penstock.testkit.upstream.UpstreamRequest;
import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** The service has every metric and label that the dashboard, the alerts and the scaler use. */
class MonitoringIT {
    private static final Duration PATIENCE = Duration.ofSeconds(90);
    private static final Pattern METRIC =
            Pattern.compile("\\b((?:penstock|gen_ai|jvm|process|system)_[a-z0-9_]+)(?:\\{([^}]*)})?");
    private static final Pattern BY = Pattern.compile("\\bby \\(([^)]*)\\)");
    private static final Pattern MATCHER = Pattern.compile("([a-z_]+)(?:=~|!~|!=|=)\"");

    /** The labels that Prometheus adds to every series, and a histogram to its buckets. */
    private static final Set<String> OWN_LABELS = Set.of("namespace", "job", "instance", "le");

    /** The metrics of the contract, with their labels. The service may have more. */
    private static final Map<String, Set<String>> CONTRACT = Map.ofEntries(
            Map.entry("penstock_jobs_total", Set.of("outcome", "task", "backend", "pool")),
            Map.entry("penstock_jobs_in_flight", Set.of("node")),
            Map.entry("penstock_jobs_waiting", Set.of("priority")),
            Map.entry("penstock_node_slots", Set.of("node")),
            Map.entry("penstock_node_up", Set.of("node")),
            Map.entry("penstock_queue_lag", Set.of("topic")),
            Map.entry("penstock_intake_window_used", Set.of("topic", "partition")),
            Map.entry("penstock_ledger_lag_seconds", Set.of()),
            Map.entry("penstock_job_queue_seconds_bucket", Set.of("le")),
            Map.entry("gen_ai_server_time_to_first_token_seconds_bucket", Set.of("le")),
            Map.entry("gen_ai_server_time_per_output_token_seconds_bucket", Set.of("le")),
            Map.entry("gen_ai_client_token_usage_sum", Set.of("type")),
            Map.entry("penstock_attempts_total", Set.of("node", "outcome")),
            Map.entry("penstock_failovers_total", Set.of("kind")),
            Map.entry("penstock_streams_interrupted_total", Set.of("backend")),
            Map.entry("penstock_duplicates_total", Set.of()),
            Map.entry("penstock_dlq_total", Set.of("reason")),
            Map.entry("penstock_lost_total", Set.of()));

    /** By name, the labels of each series. */
    private static final Map<String, Set<String>> LIVE = new HashMap<>();

    private static String metrics = "";

    @BeforeAll
    static void run() throws InterruptedException {
        try (Broker broker = Broker.start();
                FakeUpstream fake = FakeUpstream.start();
                FakeUpstream other = FakeUpstream.start();
                PenstockProcess penstock = PenstockProcess.with(broker.bootstrap())
                        .node("fake", "vllm", URI.create(fake.url()), 8)
                        .node("other", "ollama", URI.create(other.url()), 8)
                        .startReady();
                ReplyLog replies = ReplyLog.follow(broker.bootstrap());
                JobSender jobs = new JobSender(broker.bootstrap())) {
            AtomicBoolean broken = new AtomicBoolean();
            Function<UpstreamRequest, Answer> script = request -> switch (request.prompt()) {
                case "bad" -> Answer.refuse(400, "no");
                case "breaks once" ->
                    broken.getAndSet(true) ? Answer.tokens(5) : Answer.tokens(5).closeAfter(2);
                default -> Answer.tokens(20).every(Duration.ofMillis(20));
            };
            fake.script(script);
            other.script(script);
            jobs.send("good", "hi");
            jobs.send("good", "hi"); // a duplicate, which is deferred until the job has ended
            jobs.send("failed", "bad");
            jobs.send("elsewhere", "breaks once"); // at the other node, whichever node had it first
            jobs.sendRaw(null, "no job".getBytes(StandardCharsets.UTF_8)); // a dead letter
            jobs.flush();
            replies.awaitOutcomes(List.of("good", "failed", "elsewhere"), PATIENCE);
            Metrics.await(penstock, "penstock_dlq_total{reason=\"invalid_request\"}", 1, PATIENCE);
            Metrics.await(penstock, "penstock_duplicates_total", 1, PATIENCE);
            Metrics.await(penstock, "penstock_queue_lag{topic=\"prompt-jobs\"}", 0, PATIENCE);
            metrics = Metrics.text(penstock);
            read(metrics);
        }
    }

    @AfterAll
    static void forget() {
        LIVE.clear();
    }

    private static void read(String text) {
        Pattern series = Pattern.compile("^([a-z0-9_]+)(?:\\{([^}]*)})? .*");
        text.lines().filter(line -> !line.startsWith("#")).forEach(line -> {
            Matcher matcher = series.matcher(line);
            assertThat(matcher.matches()).as(line).isTrue();
            Set<String> labels = LIVE.computeIfAbsent(matcher.group(1), _ -> new TreeSet<>());
            if (matcher.group(2) != null) {
                Matcher label = MATCHER.matcher(matcher.group(2));
                while (label.find()) {
                    labels.add(label.group(1));
                }
            }
        });
    }

    @Test
    void the_contract() {
        assertThat(LIVE).containsAllEntriesOf(CONTRACT);
        // the figures match the actions
        assertThat(metrics.lines())
                .contains(
                        "penstock_failovers_total{kind=\"continued\"} 1.0",
                        "penstock_duplicates_total 1.0",
                        "penstock_dlq_total{reason=\"invalid_request\"} 1.0",
                        "penstock_dlq_total{reason=\"poison\"} 0.0",
                        "penstock_lost_total 0.0",
                        "penstock_tenant_jobs_total{outcome=\"completed\",tenant=\"default\"} 2.0",
                        "penstock_tenant_tokens_total{tenant=\"default\",type=\"output\"} 25.0",
                        "gen_ai_client_token_usage_sum{type=\"output\"} 25.0",
                        "gen_ai_server_time_per_output_token_seconds_count 2.0",
                        "penstock_job_queue_seconds_count 3.0",
                        "penstock_queue_in_hand{topic=\"prompt-jobs\"} 0.0")
                .anyMatch(line -> line.matches("penstock_streams_interrupted_total\\{backend=\"(vllm|ollama)\"} 1.0"))
                .anyMatch(line -> line.matches("penstock_attempts_total\\{node=.*,outcome=\"stream_broken\"} 1.0"));
        assertThat(metrics.lines()
                        .filter(line -> line.startsWith("penstock_jobs_total{"))
                        .mapToDouble(line -> Double.parseDouble(line.substring(line.indexOf("} ") + 2))))
                .as("two completed, one failed: a duplicate and a refusal are no job")
                .satisfies(counts -> assertThat(
                                counts.stream().mapToDouble(Double::doubleValue).sum())
                        .isEqualTo(3));
    }

    @Test
    void the_dashboard() throws IOException {
        JsonNode dashboard = new ObjectMapper()
                .readTree(Files.readString(Chart.FOLDER.resolve("dashboards").resolve("penstock.json")));
        List<String> queries = dashboard.path("panels").findValuesAsText("expr");
        List<String> names = new ArrayList<>();
        dashboard.path("panels").forEach(panel -> {
            names.add(panel.path("title").asText());
            if (!panel.path("type").asText().equals("row")) {
                assertThat(panel.path("description").asText())
                        .as(panel.path("title").asText())
                        .isNotBlank();
            }
        });

        assertThat(queries).hasSizeGreaterThan(20).allSatisfy(MonitoringIT::isAnswered);
        assertThat(names)
                .doesNotHaveDuplicates()
                .contains("Backlog", "Backlog age", "In flight by node", "Time to first token", "Time per output token")
                .contains("Failovers", "Tokens per second", "Ledger lag")
                .contains("Jobs by tenant", "Tokens by tenant", "Settings");
    }

    @Test
    void the_alerts() {
        List<String> queries = values("PrometheusRule", "expr");

        assertThat(queries).hasSizeGreaterThan(7).allSatisfy(MonitoringIT::isAnswered);
        assertThat(values("PrometheusRule", "alert"))
                .doesNotHaveDuplicates()
                .contains("PenstockNoNodeUp", "PenstockDeadLetters", "PenstockJobsLost", "PenstockBacklogOld")
                .contains("PenstockWindowNearlyFull", "PenstockStreamsInterrupted", "PenstockSettingsDiffer");
    }

    @Test
    void the_scaler() {
        assertThat(values("ScaledObject", "query")).hasSize(2).allSatisfy(MonitoringIT::isAnswered);
    }

    private static List<String> values(String kind, String field) {
        return Chart.render(Chart.ciValues("production")).stream()
                .filter(manifest -> manifest.is(kind))
                .flatMap(manifest -> manifest.spec().findValuesAsText(field).stream())
                .toList();
    }

    /** Checks that its metrics exist, and that one of them has all labels that it selects or groups by. */
    private static void isAnswered(String query) {
        Set<String> onAny = new TreeSet<>(OWN_LABELS);
        Matcher metric = METRIC.matcher(query);
        int found = 0;
        while (metric.find()) {
            found++;
            Set<String> labels = labelsOf(metric.group(1));
            onAny.addAll(labels);
            if (metric.group(2) != null) {
                Matcher selected = MATCHER.matcher(metric.group(2));
                while (selected.find()) {
                    assertThat(labels.contains(selected.group(1)) || OWN_LABELS.contains(selected.group(1)))
                            .as("%s of %s", selected.group(1), metric.group(1))
                            .isTrue();
                }
            }
        }
        assertThat(found).as("metrics in %s", query).isPositive();
        Matcher by = BY.matcher(query);
        while (by.find()) {
            assertThat(onAny).as(query).contains(by.group(1).split(", ", -1));
        }
    }

    private static Set<String> labelsOf(String name) {
        Set<String> live = LIVE.get(name);
        assertThat(live).as("%s is no metric of the service", name).isNotNull();
        return live == null ? Set.of() : live;
    }
}
