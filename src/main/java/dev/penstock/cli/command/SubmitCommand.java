package dev.penstock.cli.command;

import dev.penstock.cli.batch.Batch;
import dev.penstock.cli.batch.JobLines;
import dev.penstock.cli.batch.JobOptions;
import dev.penstock.cli.batch.ResultsFile;
import dev.penstock.cli.job.Draft;
import dev.penstock.cli.job.Ending;
import dev.penstock.cli.job.Gate;
import dev.penstock.cli.job.Problem;
import dev.penstock.cli.kafka.KafkaAccess;
import dev.penstock.cli.kafka.KafkaGate;
import dev.penstock.cli.kafka.KafkaOptions;
import dev.penstock.cli.rest.Patience;
import dev.penstock.cli.rest.RestGate;
import dev.penstock.cli.rest.RestOptions;
import dev.penstock.cli.view.InterruptNote;
import dev.penstock.cli.view.Progress;
import dev.penstock.cli.view.Terminal;
import dev.penstock.job.JobId;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Instant;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code penstock submit}: submits one prompt, or a file of jobs. */
@Command(
        name = "submit",
        mixinStandardHelpOptions = true,
        versionProvider = PenstockCommand.Version.class,
        description = {
            "Submits a prompt and prints the answer's text as it comes, or runs a file of jobs.",
            "Only the answer goes to stdout; messages about it go to stderr."
        },
        customSynopsis = {
            "penstock submit [OPTIONS] PROMPT",
            "       penstock submit [OPTIONS] --file JOBS --out RESULTS"
        },
        sortOptions = false,
        footerHeading = "%nA run of many jobs:%n",
        footer = {
            "  Each line of the file is a job document, such as {\"prompt\":\"…\"} or {\"messages\":[…]}; --model and"
                    + " similar options fill in absent fields. Each line gets a line of results: its outcome event with"
                    + " \"line\" before it. A line without job.id gets one from its number and content, so the same"
                    + " command goes on where it stopped; another --id runs the same lines anew. --retry-failed adds a new result"
                    + " for each line that is not completed; the last result of a line counts."
        })
public final class SubmitCommand implements Callable<Integer> {
    private final Terminal terminal;

    @Parameters(arity = "0..1", paramLabel = "PROMPT", description = "the prompt; - reads it from stdin")
    private @Nullable String prompt;

    @Mixin
    private final RestOptions rest = new RestOptions();

    @Mixin
    private final KafkaOptions kafka = new KafkaOptions();

    @Option(
            names = "--topic",
            paramLabel = "T",
            defaultValue = "prompt-jobs",
            description = "over Kafka: the jobs' topic; default ${DEFAULT-VALUE}")
    private String topic = "";

    @Option(
            names = "--reply-topic",
            paramLabel = "T",
            defaultValue = "prompt-replies",
            description = "over Kafka: the events' topic; default ${DEFAULT-VALUE}")
    private String replyTopic = "";

    @Mixin
    private final JobOptions job = new JobOptions();

    @Option(
            names = "--id",
            paramLabel = "ID",
            description = "the job's id: sent twice it is one job; default: a new one. With --file: the run's name")
    private @Nullable String id;

    @Option(names = "--json", description = "print each event as a line of JSON in place of the text")
    private boolean json;

    @Option(names = "--file", paramLabel = "FILE", description = "jobs, one a line, in place of a prompt")
    private @Nullable Path file;

    @Option(names = "--out", paramLabel = "FILE", description = "with --file: where the results go, one a line")
    private @Nullable Path out;

    @Option(
            names = "--retry-failed",
            description = "with --file: run the lines again whose result is not completed, each as a new job")
    private boolean retryFailed;

    @Option(
            names = "--parallel",
            paramLabel = "N",
            defaultValue = "64",
            description = "with --file: jobs open at once at most; default ${DEFAULT-VALUE}")
    private int parallel;

    public SubmitCommand(Terminal terminal) {
        this.terminal = terminal;
    }

    @Override
    public Integer call() throws Problem, InterruptedException {
        job.check();
        if (id != null && !JobId.isValid(id)) {
            throw Problem.usage("--id: " + JobId.RULE);
        }
        Ending ending = file == null ? ask() : runFile(file);
        return ending.exitCode();
    }

    private Ending ask() throws Problem, InterruptedException {
        if (out != null) {
            throw Problem.usage("--out goes with --file only");
        }
        if (retryFailed) {
            throw Problem.usage("--retry-failed goes with --file only");
        }
        JobId jobId = id == null ? JobId.fresh(Instant.now(), new SecureRandom()) : new JobId(id);
        Draft draft = Draft.of(jobId, job.ask(promptText()));
        try (Gate gate = open(false)) {
            terminal.note("job " + jobId);
            return Following.show(terminal, gate, jobId, json, printer -> gate.submit(draft, printer));
        }
    }

    private String promptText() throws Problem {
        if (prompt == null) {
            throw Problem.usage("a prompt is missing (- reads it from stdin), or --file");
        }
        String text = prompt.equals("-") ? stdin() : prompt;
        if (text.isBlank()) {
            throw Problem.usage("the prompt is empty");
        }
        if (text.indexOf('\uFFFD') >= 0) {
            throw Problem.usage("the prompt is not readable as UTF-8: set LC_ALL=C.UTF-8 or convert it");
        }
        return text;
    }

    private String stdin() throws Problem {
        try {
            String text = new String(terminal.in().readAllBytes(), StandardCharsets.UTF_8);
            return text.replaceFirst("\\R\\z", "");
        } catch (IOException e) {
            throw Problem.usage("stdin cannot be read: " + e.getMessage());
        }
    }

    private Ending runFile(Path jobs) throws Problem, InterruptedException {
        if (prompt != null) {
            throw Problem.usage("a prompt and --file: one of them");
        }
        if (json) {
            throw Problem.usage("--json goes with a prompt: the results of --file are JSON anyway");
        }
        if (out == null) {
            throw Problem.usage("--file needs --out: where the results go");
        }
        if (parallel < 1 || parallel > 10_000) {
            throw Problem.usage("--parallel: 1 to 10000 are allowed");
        }
        JobLines lines = new JobLines(jobs, job, id == null ? "" : id);
        lines.refuseAsResults(out);
        long total = lines.count();
        try (ResultsFile results = ResultsFile.open(out, retryFailed);
                Gate gate = open(true);
                Progress progress = Progress.start(terminal, total);
                var _ = new InterruptNote(terminal, "interrupted; the same command goes on where it stopped")) {
            return new Batch(gate, lines, results, parallel, progress).run();
        } catch (Problem e) {
            if (e.ending() == Ending.USAGE) {
                throw e;
            }
            terminal.note("%s; the same command goes on where it stopped".formatted(e.line()));
            return Ending.FAILED;
        }
    }

    private Gate open(boolean many) throws Problem {
        KafkaAccess access = kafka.access(rest);
        return access == null
                ? new RestGate(rest.open(), many ? Patience.OF_A_RUN : Patience.OF_A_PERSON)
                : KafkaGate.forSubmitting(access, topic, replyTopic, many);
    }
}
