package dev.penstock.cli;

import java.util.concurrent.Callable;
import picocli.AutoComplete;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** {@code penstock completion}: prints a script with which a shell completes commands and options. */
@Command(
        name = "completion",
        mixinStandardHelpOptions = true,
        versionProvider = PenstockCommand.Version.class,
        description = {
            "Prints a script that completes commands and options in bash and zsh:",
            "source <(penstock completion)"
        },
        sortOptions = false)
final class CompletionCommand implements Callable<Integer> {
    private final Terminal terminal;

    @Spec
    private CommandSpec spec = CommandSpec.create();

    CompletionCommand(Terminal terminal) {
        this.terminal = terminal;
    }

    @Override
    public Integer call() throws Problem {
        terminal.own(AutoComplete.bash("penstock", spec.root().commandLine()));
        return Ending.COMPLETED.exitCode();
    }
}
