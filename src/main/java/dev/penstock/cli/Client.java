package dev.penstock.cli;

import dev.penstock.cli.command.CancelCommand;
import dev.penstock.cli.command.CompletionCommand;
import dev.penstock.cli.command.DlqCommand;
import dev.penstock.cli.command.GetCommand;
import dev.penstock.cli.command.HelpCommand;
import dev.penstock.cli.command.IntakeCommand;
import dev.penstock.cli.command.ListCommand;
import dev.penstock.cli.command.ModelsCommand;
import dev.penstock.cli.command.NodesCommand;
import dev.penstock.cli.command.PauseCommand;
import dev.penstock.cli.command.PausesCommand;
import dev.penstock.cli.command.PenstockCommand;
import dev.penstock.cli.command.PullCommand;
import dev.penstock.cli.command.ResumeCommand;
import dev.penstock.cli.command.RouteCommand;
import dev.penstock.cli.command.SubmitCommand;
import dev.penstock.cli.command.WatchCommand;
import dev.penstock.cli.doctor.DoctorCommand;
import dev.penstock.cli.doctor.Installation;
import dev.penstock.cli.job.Ending;
import dev.penstock.cli.job.Problem;
import dev.penstock.cli.view.Terminal;
import java.util.function.Supplier;
import picocli.CommandLine;

/** Runs the program as a client: one command, without starting the service. */
public final class Client {
    private Client() {}

    /**
     * Runs a command to its end.
     *
     * @param configured reads the configuration; it is called only if a command needs the configuration
     * @return the exit code
     */
    public static int run(Supplier<Installation> configured, String... args) {
        return run(Terminal.ofProcess(), configured, args);
    }

    static int run(Terminal terminal, String... args) {
        return run(terminal, Installation::unknown, args);
    }

    public static int run(Terminal terminal, Supplier<Installation> configured, String... args) {
        QuietLogging.on(terminal);
        CommandLine line = new CommandLine(new PenstockCommand())
                .addSubcommand(new SubmitCommand(terminal))
                .addSubcommand(new WatchCommand(terminal))
                .addSubcommand(new GetCommand(terminal))
                .addSubcommand(new ListCommand(terminal))
                .addSubcommand(new CancelCommand(terminal))
                .addSubcommand(new DlqCommand(terminal))
                .addSubcommand(new IntakeCommand(terminal))
                .addSubcommand(new NodesCommand(terminal))
                .addSubcommand(new PauseCommand(terminal))
                .addSubcommand(new ResumeCommand(terminal))
                .addSubcommand(new PausesCommand(terminal))
                .addSubcommand(new ModelsCommand(terminal))
                .addSubcommand(new PullCommand(terminal))
                .addSubcommand(new RouteCommand(terminal))
                .addSubcommand(new DoctorCommand(terminal, configured))
                .addSubcommand(new CompletionCommand(terminal))
                .addSubcommand(new HelpCommand(terminal))
                .setOut(terminal.ownOut())
                .setErr(terminal.ownErr())
                .setCaseInsensitiveEnumValuesAllowed(true)
                .setUsageHelpAutoWidth(true)
                .setParameterExceptionHandler((e, _) -> misread(terminal, e))
                .setExecutionExceptionHandler((e, command, _) -> broken(terminal, command, e));
        document(line);
        for (CommandLine command : line.getSubcommands().values()) {
            document(command);
            command.getSubcommands().values().forEach(Client::document);
        }
        return line.execute(args);
    }

    private static void document(CommandLine command) {
        command.getCommandSpec()
                .usageMessage()
                .exitCodeListHeading("%nExit codes:%n")
                .exitCodeList(Ending.documented());
    }

    private static int misread(Terminal terminal, CommandLine.ParameterException e) {
        String what = String.valueOf(e.getMessage()).lines().findFirst().orElse("");
        terminal.note("%s (see %s --help)"
                .formatted(what, e.getCommandLine().getCommandSpec().qualifiedName()));
        return Ending.USAGE.exitCode();
    }

    private static int broken(Terminal terminal, CommandLine command, Exception e) {
        return switch (e) {
            case Problem problem
            when problem.ending() == Ending.USAGE -> {
                terminal.note("%s (see %s --help)"
                        .formatted(problem.line(), command.getCommandSpec().qualifiedName()));
                yield Ending.USAGE.exitCode();
            }
            case Problem problem -> {
                terminal.note(problem.line());
                yield problem.ending().exitCode();
            }
            case InterruptedException _ -> Ending.INTERRUPTED.exitCode();
            default -> {
                terminal.note("this is a mistake in penstock, please report it: " + e);
                yield Ending.BROKEN_OFF.exitCode();
            }
        };
    }
}
