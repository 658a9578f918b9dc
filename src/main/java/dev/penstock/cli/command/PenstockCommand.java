package dev.penstock.cli.command;

import picocli.CommandLine.Command;
import picocli.CommandLine.IVersionProvider;

/** The command {@code penstock} itself, with the output of {@code penstock --help}. */
@Command(
        name = "penstock",
        mixinStandardHelpOptions = true,
        versionProvider = PenstockCommand.Version.class,
        synopsisHeading = "Usage:%n  penstock            starts the service%n  ",
        customSynopsis = "penstock COMMAND    is its client",
        descriptionHeading = "%n",
        description = "Prompt jobs from Kafka or REST, dispatched to model servers, answers streamed back.",
        commandListHeading = "%nCommands (details: penstock COMMAND --help):%n",
        optionListHeading = "%nOptions:%n",
        footerHeading = "%nExamples:%n",
        footer = {
            "  penstock submit \"Why is the sky blue?\"",
            "  penstock submit --kafka localhost:9092 --model fast - < question.txt",
            "  penstock submit --file jobs.ndjson --out results.ndjson",
            "  penstock nodes"
        })
public final class PenstockCommand {

    /**
     * Reads the program's version when this class is initialised. In a native executable, that happens at build time.
     */
    public static final class Version implements IVersionProvider {
        private static final String VERSION = read();

        private static String read() {
            String version = PenstockCommand.class.getPackage().getImplementationVersion();
            return version == null ? "(version unknown)" : version;
        }

        @Override
        public String[] getVersion() {
            return new String[] {"penstock " + VERSION};
        }
    }
}
