package dev.penstock.cli.command;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.cli.job.Ending;
import dev.penstock.cli.job.Problem;
import dev.penstock.cli.rest.Rest;
import dev.penstock.cli.rest.RestOptions;
import dev.penstock.cli.view.Table;
import dev.penstock.cli.view.Terminal;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code penstock models}: prints the names that a job's field {@code model} may have. */
@Command(
        name = "models",
        mixinStandardHelpOptions = true,
        versionProvider = PenstockCommand.Version.class,
        description = "Lists the values of --model: the models of the nodes that are up, and the profiles.",
        sortOptions = false)
public final class ModelsCommand implements Callable<Integer> {
    private final Terminal terminal;

    @Mixin
    private final RestOptions rest = new RestOptions();

    @Option(names = "--json", description = "print the service's answer in place of a table")
    private boolean json;

    public ModelsCommand(Terminal terminal) {
        this.terminal = terminal;
    }

    @Override
    public Integer call() throws Problem, InterruptedException {
        try (Rest service = rest.open()) {
            JsonNode list = service.call(service.request("/v1/models").build());
            if (json) {
                terminal.line(list.toString());
            } else {
                terminal.text(table(list));
            }
        }
        return Ending.COMPLETED.exitCode();
    }

    static String table(JsonNode list) {
        Table table = new Table(List.of("MODEL", "FROM"));
        for (JsonNode model : list.path("data")) {
            table.add(List.of(model.path("id").asText(), model.path("owned_by").asText()));
        }
        return table.toString();
    }
}
