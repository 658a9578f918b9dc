package dev.penstock.cli;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code penstock nodes}: the model servers as they are now. */
@Command(
        name = "nodes",
        mixinStandardHelpOptions = true,
        versionProvider = PenstockCommand.Version.class,
        description = "Lists the nodes: the model servers that jobs are sent to.",
        sortOptions = false)
final class NodesCommand implements Callable<Integer> {
    private final Terminal terminal;

    @Mixin
    private final RestOptions rest = new RestOptions();

    @Option(names = "--json", description = "print the service's answer in place of a table")
    private boolean json;

    NodesCommand(Terminal terminal) {
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

    static String table(JsonNode list) {
        Table table = new Table(List.of("NAME", "STATE", "BACKEND", "POOL", "IN FLIGHT", "WAITING", "MODELS", "ERROR"));
        for (JsonNode node : list.path("data")) {
            List<String> models = new ArrayList<>();
            node.path("models").forEach(model -> models.add(model.path("id").asText()));
            table.add(List.of(
                    node.path("name").asText(),
                    node.path("state").asText(),
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
