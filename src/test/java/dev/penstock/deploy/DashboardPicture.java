package dev.penstock.deploy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.penstock.testkit.Broker;
import dev.penstock.testkit.ChildProcess;
import dev.penstock.testkit.JobSender;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.Rest;
import dev.penstock.testkit.Rig;
import dev.penstock.testkit.TestEnvironment;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.FakeUpstream;
import dev.penstock.testkit.upstream.UpstreamRequest;
import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.imageio.ImageIO;

/**
 * Draws the dashboard from a real run: two replicas under load for some minutes, simulated model servers that fail
 * now and then, a Prometheus that scrapes, and the answers to the dashboard's own queries. It does not use Grafana:
 * only the queries, titles, units and places are the dashboard's.
 *
 * <p>Arguments: the prometheus executable, minutes, the picture to write.
 */
public final class DashboardPicture {
    private static final Duration PATIENCE = Duration.ofSeconds(60);
    private static final Pattern LABEL = Pattern.compile("\\{\\{\\s*([a-z_]+)\\s*}}");
    private static final int STEP_SECONDS = 2;

    private final Random random = new Random(7);

    private DashboardPicture() {}

    public static void main(String... args) throws IOException, InterruptedException {
        new DashboardPicture().run(Path.of(args[0]), Integer.parseInt(args[1]), Path.of(args[2]));
        System.exit(0);
    }

    private void run(Path prometheus, int minutes, Path picture) throws IOException, InterruptedException {
        try (Rig rig = Rig.start("picture");
                FakeUpstream large = FakeUpstream.start();
                FakeUpstream small = FakeUpstream.start()) {
            large.script(script(12, 0.01));
            small.script(script(40, 0.02));
            rig.fake().script(script(18, 0.01));
            List<PenstockProcess> replicas = new ArrayList<>();
            for (String name : List.of("penstock-0", "penstock-1")) {
                replicas.add(rig.start(rig.replica(name, 24)
                        .node("fake", "vllm", URI.create(rig.fake().url()), 16)
                        .node("gpu-a", "vllm", URI.create(large.url()), 16)
                        .node("cpu-a", "ollama", URI.create(small.url()), 4)
                        .config("penstock.intake.topics[0].name", "prompt-jobs")
                        .config("penstock.intake.topics[1].name", "acme-jobs")
                        .config("penstock.intake.topics[1].tenant", "acme")));
            }
            Path folder = Files.createDirectories(TestEnvironment.buildDir().resolve("picture"));
            int port = Broker.freePort();
            try (ChildProcess _ = scraping(prometheus, folder, port, replicas)) {
                double from = System.currentTimeMillis() / 1000.0;
                load(rig, large, minutes);
                double to = System.currentTimeMillis() / 1000.0;
                draw(URI.create("http://127.0.0.1:" + port), from, to, picture);
            }
        }
    }

    private static ChildProcess scraping(Path prometheus, Path folder, int port, List<PenstockProcess> replicas)
            throws IOException, InterruptedException {
        List<String> targets = replicas.stream()
                .map(replica -> "'" + replica.managementUrl().getAuthority() + "'")
                .toList();
        Path config = folder.resolve("prometheus.yml");
        Files.writeString(config, """
                global: {scrape_interval: 2s}
                scrape_configs:
                  - job_name: penstock
                    metrics_path: /q/metrics
                    static_configs: [{targets: %s}]
                """.formatted(targets));
        ChildProcess process = ChildProcess.start(
                "prometheus",
                List.of(
                        prometheus.toString(),
                        "--config.file=" + config,
                        "--storage.tsdb.path=" + folder.resolve("data-" + port),
                        "--web.listen-address=127.0.0.1:" + port),
                Map.of());
        process.awaitOk(URI.create("http://127.0.0.1:" + port + "/-/ready"), PATIENCE);
        return process;
    }

    /** Takes this number of milliseconds a token. Some answers are overload errors, and some break off. */
    private Function<UpstreamRequest, Answer> script(int millis, double broken) {
        return request -> {
            if (request.prompt().equals("bad")) {
                return Answer.refuse(400, "no");
            }
            int tokens;
            double chance;
            synchronized (random) {
                tokens = 20 + random.nextInt(120);
                chance = random.nextDouble();
            }
            Answer answer = Answer.tokens(tokens)
                    .firstTokenAfter(Duration.ofMillis(60 + millis * (long) (10 * chance)))
                    .every(Duration.ofMillis(millis));
            return chance < broken
                    ? answer.closeAfter(tokens / 2)
                    : chance < 2 * broken ? Answer.refuse(503, "busy") : answer;
        };
    }

    /**
     * Sends waves of jobs. For some seconds of each minute they exceed the nodes' capacity. In the middle one node is
     * away.
     */
    private void load(Rig rig, FakeUpstream large, int minutes) throws InterruptedException {
        try (JobSender jobs = new JobSender(rig.broker().bootstrap());
                JobSender others = new JobSender(rig.broker().bootstrap(), "acme-jobs", Map.of())) {
            boolean away = false;
            for (int second = 0; second < 60 * minutes; second++) {
                int many = second % 60 < 25 ? 40 : 10;
                for (int i = 0; i < many; i++) {
                    String id = "job-%d-%d".formatted(second, i);
                    (i % 3 == 0 ? others : jobs).send(id, i == 7 && second % 5 == 0 ? "bad" : "hi");
                    if (i == 5 && second % 4 == 0) {
                        jobs.send(id, "hi");
                    }
                }
                if (second % 20 == 10) {
                    jobs.sendRaw(null, "no job".getBytes(StandardCharsets.UTF_8));
                }
                boolean now = second > 30 * minutes && second < 30 * minutes + 20;
                if (now != away) {
                    away = now;
                    if (now) {
                        large.stop();
                    } else {
                        large.restart();
                    }
                }
                TimeUnit.SECONDS.sleep(1);
            }
            jobs.flush();
            others.flush();
        }
    }

    private static void draw(URI prometheus, double from, double to, Path picture)
            throws IOException, InterruptedException {
        JsonNode dashboard = new ObjectMapper()
                .readTree(Files.readString(Chart.FOLDER.resolve("dashboards").resolve("penstock.json")));
        int rows = 0;
        for (JsonNode panel : dashboard.path("panels")) {
            JsonNode place = panel.path("gridPos");
            rows = Math.max(rows, place.path("y").asInt() + place.path("h").asInt());
        }
        PanelDrawing drawing = new PanelDrawing(rows, to - from);
        for (JsonNode panel : dashboard.path("panels")) {
            List<PanelDrawing.Series> series = new ArrayList<>();
            for (JsonNode target : panel.path("targets")) {
                series.addAll(asked(prometheus, target, from, to));
            }
            if (panel.path("targets").size() > 0) {
                System.out.printf("%s: %d series%n", panel.path("title").asText(), series.size());
            }
            drawing.draw(panel, series);
        }
        ImageIO.write(drawing.image(), "png", picture.toFile());
        System.out.printf("%s: %d bytes%n", picture, Files.size(picture));
    }

    private static List<PanelDrawing.Series> asked(URI prometheus, JsonNode target, double from, double to)
            throws InterruptedException {
        String query = target.path("expr")
                .asText()
                .replace("$namespace", ".*")
                .replace("$job", ".*")
                .replace("$__rate_interval", "20s");
        JsonNode answer = Rest.get(
                        prometheus,
                        "/api/v1/query_range?query=%s&start=%.3f&end=%.3f&step=%d"
                                .formatted(URLEncoder.encode(query, StandardCharsets.UTF_8), from, to, STEP_SECONDS))
                .json();
        if (!answer.path("status").asText().equals("success")) {
            throw new IllegalStateException(query + ": " + answer);
        }
        // like Grafana: a time without a value is a gap
        int steps = (int) ((to - from) / STEP_SECONDS) + 1;
        List<PanelDrawing.Series> series = new ArrayList<>();
        for (JsonNode result : answer.path("data").path("result")) {
            List<Double> values = new ArrayList<>(Collections.nCopies(steps, Double.NaN));
            for (JsonNode pair : result.path("values")) {
                int at = (int) Math.round((pair.path(0).asDouble() - from) / STEP_SECONDS);
                String value = pair.path(1).asText();
                if (at >= 0 && at < steps && !value.contains("N") && !value.contains("I")) {
                    values.set(at, Double.parseDouble(value));
                }
            }
            series.add(new PanelDrawing.Series(named(target, result.path("metric")), values));
        }
        return series;
    }

    private static String named(JsonNode target, JsonNode labels) {
        Matcher label = LABEL.matcher(target.path("legendFormat").asText());
        return label.replaceAll(
                found -> Matcher.quoteReplacement(labels.path(found.group(1)).asText()));
    }
}
