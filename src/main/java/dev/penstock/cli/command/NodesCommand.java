package dev.penstock.cli.command;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.cli.job.Ending;
import dev.penstock.cli.job.Problem;
import dev.penstock.cli.rest.Rest;
import dev.penstock.cli.rest.RestOptions;
import dev.penstock.cli.view.Table;
import dev.penstock.cli.view.Terminal;
import dev.penstock.wire.Json;
import java.net.http.HttpRequest;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code penstock nodes}: prints the current state of the model servers. */
@Command(
        name = "nodes",
        mixinStandardHelpOptions = true,
        versionProvider = PenstockCommand.Version.class,
        description = "Lists the nodes: the model servers that jobs are sent to. They can also be added and removed.",
        sortOptions = false)
public final class NodesCommand implements Callable<Integer> {
    private final Terminal terminal;

    @Mixin
    private final RestOptions rest = new RestOptions();

    @Option(names = "--json", description = "print the service's answer in place of a table")
    private boolean json;

    public NodesCommand(Terminal terminal) {
        this.terminal = terminal;
    }

    @Override
    public Integer call() throws Problem, InterruptedException {
        try (Rest service = rest.open()) {
            JsonNode list = service.call(service.request("/v1/nodes").build());
            if (json) {
                terminal.line(list.toString());
            } else {
                terminal.text(table(list));
            }
        }
        return Ending.COMPLETED.exitCode();
    }

    @Command(
            name = "add",
            mixinStandardHelpOptions = true,
            description = "Adds a node, for every replica and over restarts. Penstock asks the node's server first.",
            sortOptions = false)
    int add(
            @Mixin RestOptions service,
            @Parameters(paramLabel = "NAME", description = "the name of the node") String name,
            @Option(
                            names = "--backend",
                            paramLabel = "B",
                            required = true,
                            description = "vllm, ollama, llama-server, lm-studio, openai, openai-compatible…")
                    String backend,
            @Option(
                            names = "--node-url",
                            paramLabel = "URL",
                            required = true,
                            description = "the node's server, with or without /v1")
                    String url,
            @Option(names = "--pool", paramLabel = "P", description = "default: by backend") @Nullable String pool,
            @Option(names = "--max-in-flight", paramLabel = "N", description = "requests at once; default: by backend")
                    @Nullable
                    Integer maxInFlight,
            @Option(names = "--model", paramLabel = "M", description = "the only model to use there") @Nullable
                    String model,
            @Option(
                            names = "--key",
                            paramLabel = "WHERE",
                            description =
                                    "where each replica finds the server's key: env:PENSTOCK_SECRET_… or file:/path")
                    @Nullable
                    String key,
            @Option(
                            names = "--pull",
                            paramLabel = "WHEN",
                            description = "missing: it pulls what a job names and no node has")
                    @Nullable
                    String pull,
            @Option(names = "--force", description = "add it even where its server does not answer") boolean force)
            throws Problem, InterruptedException {
        ObjectNode node = Json.mapper().createObjectNode();
        node.put("name", name).put("backend", backend).put("url", url);
        put(node, "pool", pool);
        put(node, "model", model);
        put(node, "api-key", key);
        put(node, "pull", pull);
        if (maxInFlight != null) {
            node.put("max-in-flight", maxInFlight);
        }
        try (Rest rest = service.open()) {
            JsonNode added = rest.call(rest.change(force ? "/v1/nodes?force=true" : "/v1/nodes")
                    .POST(HttpRequest.BodyPublishers.ofByteArray(Json.bytes(node)))
                    .build());
            terminal.note("node %s is added".formatted(name));
            terminal.text(table(Json.mapper()
                    .createObjectNode()
                    .set("data", Json.mapper().createArrayNode().add(added))));
        }
        return Ending.COMPLETED.exitCode();
    }

    private static void put(ObjectNode node, String key, @Nullable String value) {
        if (value != null) {
            node.put(key, value);
        }
    }

    @Command(
            name = "remove",
            mixinStandardHelpOptions = true,
            description = "Removes a node that was added: its requests end, and no new ones begin.",
            sortOptions = false)
    int remove(
            @Mixin RestOptions service, @Parameters(paramLabel = "NAME", description = "as nodes shows it") String name)
            throws Problem, InterruptedException {
        try (Rest open = service.open()) {
            JsonNode node = open.call(
                    open.change("/v1/nodes/" + Rest.encoded(name)).DELETE().build());
            int running = node.path("in_flight").asInt();
            terminal.note(
                    running == 0
                            ? "node %s is removed".formatted(name)
                            : "node %s is removed once its %d requests have ended".formatted(name, running));
        }
        return Ending.COMPLETED.exitCode();
    }

    static String table(JsonNode list) {
        Table table = new Table(List.of("NAME", "STATE", "BACKEND", "POOL", "IN FLIGHT", "WAITING", "MODELS", "ERROR"));
        for (JsonNode node : list.path("data")) {
            List<String> models = new ArrayList<>();
            node.path("models").forEach(model -> models.add(model.path("id").asText()));
            table.add(List.of(
                    node.path("name").asText(),
                    node.path("state").asText() + (node.path("paused").asBoolean() ? ", paused" : ""),
                    node.path("backend").asText(),
                    node.path("pool").asText(),
                    "%s/%s"
                            .formatted(
                                    node.path("in_flight").asText("?"),
                                    node.path("limit").asText("?")),
                    node.path("waiting").asText(""),
                    String.join(", ", models),
                    node.hasNonNull("last_error") ? node.path("last_error").asText() : ""));
        }
        return table.toString();
    }
}
