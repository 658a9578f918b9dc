package dev.penstock.cli.doctor;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.MissingNode;
import dev.penstock.cli.job.Problem;
import dev.penstock.cli.rest.Rest;
import dev.penstock.cli.rest.StreamBody;
import dev.penstock.wire.Json;
import java.io.IOException;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** Checks the running service: its API, its nodes, and its health. */
final class ServiceLook {
    static final Duration PATIENCE = Duration.ofSeconds(5);
    private static final String WARNING = "warning.";
    private static final String WAITING = "waiting.";

    private final Rest api;
    private final Rest management;
    private final String ownVersion;
    private final List<Finding> found = new ArrayList<>();
    private boolean answers;

    /** @param ownVersion the version of this program */
    ServiceLook(Rest api, Rest management, String ownVersion) {
        this.api = api;
        this.management = management;
        this.ownVersion = ownVersion;
    }

    List<Finding> look() throws InterruptedException {
        try {
            JsonNode nodes = api.call(api.request("/v1/nodes").timeout(PATIENCE).build());
            answers = true;
            found.add(Finding.ok("API", "answers at " + api.base()));
            health();
            nodes(nodes.path("data"));
        } catch (Problem e) {
            found.add(Finding.fail("API", Finding.withoutAdvice(e), "start it: penstock; or set its address: --url"));
        }
        return found;
    }

    boolean answers() {
        return answers;
    }

    private void health() throws InterruptedException {
        Map<String, String> data = new TreeMap<>();
        String status;
        try {
            HttpResponse<StreamBody> response = management.open(
                    management.request("/q/health/ready").timeout(PATIENCE).build());
            try (StreamBody body = response.body()) {
                JsonNode document = document(body.whole(PATIENCE));
                status = document.path("status").asText();
                document.path("checks")
                        .forEach(check -> check.path("data")
                                .properties()
                                .forEach(entry -> data.put(
                                        entry.getKey(), entry.getValue().asText())));
            }
        } catch (IOException e) {
            found.add(Finding.warn(
                    "health", management.base() + " cannot be reached", "set the management port: --management URL"));
            return;
        }
        if (status.isEmpty()) {
            found.add(Finding.warn(
                    "health",
                    management.base() + " is not Penstock's management port",
                    "set the management port: --management URL"));
            return;
        }
        String intake = data.getOrDefault("intake", "?");
        found.add(
                status.equals("UP")
                        ? Finding.ok("health", "ready, intake %s".formatted(intake))
                        : Finding.fail(
                                "health",
                                "not ready: intake %s, Kafka %s".formatted(intake, data.getOrDefault("broker", "?")),
                                "its log has the reason"));
        version(data.getOrDefault("version", ""));
        addIfKnown("intake", data.get("mode"));
        addIfKnown("ledger", data.get("ledger"));
        data.forEach((name, words) -> {
            // skips warnings about nodes, because each node has a finding of its own with more details
            if (name.startsWith(WARNING) && !name.startsWith(WARNING + "node.")) {
                found.add(Finding.warn(name.substring(WARNING.length()), words, ""));
            } else if (name.startsWith(WAITING)) {
                found.add(Finding.warn("jobs wait", words, ""));
            }
        });
    }

    private void version(String version) {
        if (version.isEmpty()) {
            return;
        }
        found.add(
                ownVersion.equals("penstock " + version) || ownVersion.contains("unknown")
                        ? Finding.ok("version", version)
                        : Finding.warn(
                                "version",
                                "the service is %s, this program is %s".formatted(version, ownVersion),
                                "use programs of one version"));
    }

    private void addIfKnown(String what, @Nullable String words) {
        if (words != null) {
            boolean away = words.contains("is away");
            found.add(away ? Finding.fail(what, words, "its log has the reason") : Finding.ok(what, words));
        }
    }

    private void nodes(JsonNode nodes) {
        if (nodes.isEmpty()) {
            found.add(
                    Finding.fail(
                            "nodes",
                            "the service has none",
                            "start a model server here, set one (OLLAMA_HOST, VLLM_URL, penstock.nodes), or: penstock nodes add"));
        }
        for (JsonNode node : nodes) {
            String what = "node " + node.path("name").asText();
            String error = node.path("last_error").asText("");
            List<String> models = new ArrayList<>();
            node.path("models").forEach(model -> models.add(model.path("id").asText()));
            String backend = node.path("backend").asText();
            Installation.@Nullable State state = switch (node.path("state").asText()) {
                case "up" -> Installation.State.UP;
                case "loading" -> Installation.State.LOADING;
                case "draining" -> null;
                default -> Installation.State.DOWN;
            };
            found.add(
                    state == null
                            ? Finding.ok(what, "is removed, and ends what it has")
                            : NodeLook.finding(
                                    what,
                                    backend,
                                    new Installation.Health(state, models, error.equals("null") ? "" : error)));
        }
    }

    private static JsonNode document(byte[] bytes) {
        JsonNode document = Json.parseLenient(new String(bytes, StandardCharsets.UTF_8));
        return document == null ? MissingNode.getInstance() : document;
    }
}
