package dev.penstock.cli.command;

import dev.penstock.cli.job.Ending;
import dev.penstock.cli.job.Problem;
import dev.penstock.cli.view.Terminal;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code penstock help}: prints the same text as {@code --help}, for the whole program or for one command. */
@Command(
        name = "help",
        mixinStandardHelpOptions = true,
        versionProvider = PenstockCommand.Version.class,
        description = "Shows the help of a command, as in: penstock help nodes add.",
        sortOptions = false)
public final class HelpCommand implements Callable<Integer> {
    private final Terminal terminal;

    @Parameters(arity = "0..*", paramLabel = "COMMAND", description = "the command; none: all of them")
    private List<String> path = List.of();

    @Spec
    private CommandSpec spec = CommandSpec.create();

    public HelpCommand(Terminal terminal) {
        this.terminal = terminal;
    }

    @Override
    public Integer call() throws Problem {
        CommandLine found = spec.root().commandLine();
        for (String name : path) {
            CommandLine next = found.getSubcommands().get(name);
            if (next == null) {
                throw Problem.usage("there is no command '%s'. There are: %s"
                        .formatted(
                                String.join(" ", path),
                                String.join(", ", found.getSubcommands().keySet())));
            }
            found = next;
        }
        terminal.own(found.getUsageMessage());
        return Ending.COMPLETED.exitCode();
    }
}
