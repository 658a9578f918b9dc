package dev.penstock.cli.command;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.cli.job.Ending;
import dev.penstock.cli.job.Problem;
import dev.penstock.cli.rest.Rest;
import dev.penstock.cli.rest.RestOptions;
import dev.penstock.cli.view.Table;
import dev.penstock.cli.view.Terminal;
import dev.penstock.wire.Json;
import java.net.http.HttpRequest;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code penstock pauses}: prints what is paused. */
@Command(
        name = "pauses",
        mixinStandardHelpOptions = true,
        versionProvider = PenstockCommand.Version.class,
        description = "Lists the topics, pools and nodes that are paused.",
        sortOptions = false)
public final class PausesCommand implements Callable<Integer> {
    private static final List<String> KINDS = List.of("topic", "pool", "node");

    private final Terminal terminal;

    @Mixin
    private final RestOptions rest = new RestOptions();

    @Option(names = "--json", description = "print the service's answer in place of a table")
    private boolean json;

    public PausesCommand(Terminal terminal) {
        this.terminal = terminal;
    }

    @Override
    public Integer call() throws Problem, InterruptedException {
        try (Rest service = rest.open()) {
            JsonNode list = service.call(service.request("/v1/pauses").build());
            if (json) {
                terminal.line(list.toString());
            } else {
                terminal.text(table(list));
            }
        }
        return Ending.COMPLETED.exitCode();
    }

    static String table(JsonNode list) {
        Table table = new Table(List.of("WHAT", "NAME", "SINCE"));
        for (JsonNode pause : list.path("data")) {
            KINDS.stream()
                    .filter(pause::has)
                    .forEach(kind -> table.add(List.of(
                            kind, pause.path(kind).asText(), pause.path("since").asText())));
        }
        return table.toString();
    }

    /** Pauses or resumes one thing, and returns the service's answer. */
    static JsonNode change(RestOptions options, String path, String what, String name)
            throws Problem, InterruptedException {
        if (!KINDS.contains(what)) {
            throw Problem.usage("'%s' is none of topic, pool, node".formatted(what));
        }
        try (Rest service = options.open()) {
            byte[] body = Json.bytes(Json.mapper().createObjectNode().put(what, name));
            return service.call(service.change(path)
                    .POST(HttpRequest.BodyPublishers.ofByteArray(body))
                    .build());
        }
    }

    static String words(String what, String name, JsonNode pause) {
        return pause.hasNonNull("since")
                ? "%s %s is paused since %s"
                        .formatted(what, name, pause.path("since").asText())
                : "%s %s is not paused".formatted(what, name);
    }
}
