package dev.penstock.cli.command;

import dev.penstock.cli.job.Gate;
import dev.penstock.cli.job.Problem;
import dev.penstock.cli.kafka.KafkaAccess;
import dev.penstock.cli.kafka.KafkaGate;
import dev.penstock.cli.kafka.KafkaOptions;
import dev.penstock.cli.rest.Patience;
import dev.penstock.cli.rest.RestGate;
import dev.penstock.cli.rest.RestOptions;
import dev.penstock.cli.view.Terminal;
import dev.penstock.job.JobId;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code penstock watch}: shows a job from its beginning to its outcome. */
@Command(
        name = "watch",
        mixinStandardHelpOptions = true,
        versionProvider = PenstockCommand.Version.class,
        description = "Prints a job's text from its beginning until its outcome; the exit code shows the outcome.",
        sortOptions = false)
public final class WatchCommand implements Callable<Integer> {
    private final Terminal terminal;

    @Parameters(paramLabel = "ID", description = "the job's id")
    private String id = "";

    @Mixin
    private final RestOptions rest = new RestOptions();

    @Mixin
    private final KafkaOptions kafka = new KafkaOptions();

    @Option(
            names = "--reply-topic",
            paramLabel = "T",
            defaultValue = "prompt-replies",
            description = "over Kafka: the events' topic; default ${DEFAULT-VALUE}")
    private String replyTopic = "";

    @Option(names = "--json", description = "print each event as a line of JSON in place of the text")
    private boolean json;

    public WatchCommand(Terminal terminal) {
        this.terminal = terminal;
    }

    @Override
    public Integer call() throws Problem, InterruptedException {
        JobId jobId = jobId(id);
        KafkaAccess access = kafka.access(rest);
        try (Gate gate = access == null
                ? new RestGate(rest.open(), Patience.OF_A_PERSON)
                : KafkaGate.forWatching(access, replyTopic)) {
            return Following.show(terminal, gate, jobId, json, printer -> gate.watch(jobId, printer))
                    .exitCode();
        }
    }

    static JobId jobId(String id) throws Problem {
        if (!JobId.isValid(id)) {
            throw Problem.usage("ID: " + JobId.RULE);
        }
        return new JobId(id);
    }
}
