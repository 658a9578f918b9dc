package dev.penstock.cli.command;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.cli.job.Ending;
import dev.penstock.cli.job.Problem;
import dev.penstock.cli.rest.RestOptions;
import dev.penstock.cli.view.Terminal;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/** {@code penstock resume}: resumes a topic, a pool or a node. */
@Command(
        name = "resume",
        mixinStandardHelpOptions = true,
        versionProvider = PenstockCommand.Version.class,
        description = "Ends the pause of a topic, a pool or a node.",
        sortOptions = false)
public final class ResumeCommand implements Callable<Integer> {
    private final Terminal terminal;

    @Mixin
    private final RestOptions rest = new RestOptions();

    @Parameters(index = "0", paramLabel = "WHAT", description = "topic, pool or node")
    private String what = "";

    @Parameters(index = "1", paramLabel = "NAME", description = "its name")
    private String name = "";

    public ResumeCommand(Terminal terminal) {
        this.terminal = terminal;
    }

    @Override
    public Integer call() throws Problem, InterruptedException {
        JsonNode pause = PausesCommand.change(rest, "/v1/resume", what, name);
        terminal.note(PausesCommand.words(what, name, pause));
        return Ending.COMPLETED.exitCode();
    }
}
