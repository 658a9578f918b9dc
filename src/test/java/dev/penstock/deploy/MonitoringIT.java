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
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Every metric and label that the dashboard, the alerts and the scaler ask for is one that the service has. */
class MonitoringIT {
    private static final Duration PATIENCE = Duration.ofSeconds(90);
    private static final Pattern METRIC =
            Pattern.compile("\\b((?:penstock|gen_ai|jvm|process|system)_[a-z0-9_]+)(?:\\{([^}]*)})?");
    private static final Pattern BY = Pattern.compile("\\bby \\(([^)]*)\\)");
    private static final Pattern MATCHER = Pattern.compile("([a-z_]+)(?:=~|!~|!=|=)\"");
    private static final Pattern SUFFIX = Pattern.compile("_(bucket|sum|count|max|total)$");

    /** What Prometheus gives every series, and a histogram its buckets. */
    private static final Set<String> OWN_LABELS = Set.of("namespace", "job", "instance", "le");

    /** Promised, and not there in this run: made by parts that come later, or by what it does not bring about. What is there is not looked up here. */
    private static final Map<String, Set<String>> PROMISED = Map.of(
            "penstock_intake_window_used", Set.of("topic", "partition"),
            "penstock_failovers", Set.of("kind"),
            "penstock_streams_interrupted", Set.of("backend"),
            "gen_ai_server_time_per_output_token_seconds", Set.of(),
            "gen_ai_client_token_usage", Set.of("type"));

    /** By name; of each series its labels. */
    private static final Map<String, Set<String>> LIVE = new HashMap<>();

    @BeforeAll
    static void run() throws InterruptedException {
        try (Broker broker = Broker.start();
                FakeUpstream fake = FakeUpstream.start();
                PenstockProcess penstock = PenstockProcess.with(broker.bootstrap())
                        .node("fake", "vllm", URI.create(fake.url()), 8)
                        .startReady();
                ReplyLog replies = ReplyLog.follow(broker.bootstrap());
                JobSender jobs = new JobSender(broker.bootstrap())) {
            fake.script(request -> request.prompt().equals("bad")
                    ? Answer.refuse(400, "no")
                    : Answer.tokens(20).every(Duration.ofMillis(20)));
            jobs.send("good", "hi");
            jobs.send("good", "hi"); // a duplicate, which is set aside until the job has ended
            jobs.send("failed", "bad");
            jobs.sendRaw(null, "no job".getBytes(StandardCharsets.UTF_8)); // a dead letter
            jobs.flush();
            replies.awaitOutcomes(List.of("good", "failed"), PATIENCE);
            Metrics.await(penstock, "penstock_dlq_total{reason=\"invalid_request\"}", 1, PATIENCE);
            Metrics.await(penstock, "penstock_duplicates_total", 1, PATIENCE);
            read(Metrics.text(penstock));
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
                .contains("Backlog", "In flight by node", "Time to first token", "Time per output token")
                .contains("Failovers", "Tokens per second", "Ledger lag");
    }

    @Test
    void the_alerts() {
        List<String> queries = values("PrometheusRule", "expr");

        assertThat(queries).hasSizeGreaterThan(7).allSatisfy(MonitoringIT::isAnswered);
        assertThat(values("PrometheusRule", "alert"))
                .doesNotHaveDuplicates()
                .contains("PenstockNoNodeUp", "PenstockDeadLetters", "PenstockJobsLost", "PenstockBacklogOld")
                .contains("PenstockWindowNearlyFull", "PenstockStreamsInterrupted");
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

    /** Its metrics are there, and all labels that it selects or groups by are on one of them. */
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
        if (live != null) {
            return live;
        }
        assertThat(LIVE.keySet())
                .as("%s is there, under another name", name)
                .noneMatch(other -> base(other).equals(base(name)));
        Set<String> promised = PROMISED.get(base(name));
        assertThat(promised).as("%s is no metric of the service", name).isNotNull();
        return promised == null ? Set.of() : promised;
    }

    private static String base(String name) {
        return SUFFIX.matcher(name).replaceFirst("");
    }
}
