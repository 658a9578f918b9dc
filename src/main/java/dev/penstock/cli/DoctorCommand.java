package dev.penstock.cli;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** {@code penstock doctor}: what of model servers there is on this machine, and what is missing. */
@Command(
        name = "doctor",
        mixinStandardHelpOptions = true,
        versionProvider = PenstockCommand.Version.class,
        description = {
            "Tells which model servers run on this machine, which are installed but do not, and what starts them;",
            "and how Penstock and its nodes are. Exits with 6 where no model server runs."
        },
        sortOptions = false)
final class DoctorCommand implements Callable<Integer> {
    private final Terminal terminal;

    @Mixin
    private final RestOptions rest = new RestOptions();

    DoctorCommand(Terminal terminal) {
        this.terminal = terminal;
    }

    @Override
    public Integer call() throws Problem, InterruptedException {
        String path = System.getenv().getOrDefault("PATH", "");
        Diagnosis diagnosis =
                Diagnosis.look(Diagnosis.ports(System.getenv()), path, Path.of(System.getProperty("user.home")));
        terminal.text(diagnosis.ports() + "\n" + diagnosis.servers() + "\n");
        try (Rest service = rest.open()) {
            JsonNode nodes = service.call(service.request("/v1/nodes").build());
            terminal.line("Penstock runs at %s:".formatted(service.base()));
            terminal.text(nodes.path("data").isEmpty() ? "it has no nodes\n" : NodesCommand.table(nodes));
        } catch (Problem e) {
            terminal.line(e.line());
        }
        return (diagnosis.anyRuns() ? Ending.COMPLETED : Ending.BROKEN_OFF).exitCode();
    }
}
