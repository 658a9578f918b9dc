package dev.penstock.cli.command;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.cli.job.Ending;
import dev.penstock.cli.job.Problem;
import dev.penstock.cli.job.ValidEvent;
import dev.penstock.cli.rest.Rest;
import dev.penstock.cli.rest.RestOptions;
import dev.penstock.cli.view.ScoreLines;
import dev.penstock.cli.view.Terminal;
import dev.penstock.job.EventMark;
import dev.penstock.job.JobId;
import dev.penstock.wire.Durations;
import java.net.http.HttpRequest;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code penstock get}: prints a job's current state, and its answer. */
@Command(
        name = "get",
        mixinStandardHelpOptions = true,
        versionProvider = PenstockCommand.Version.class,
        description = {
            "Shows a job as it is now: its answer goes to standard output, everything about it to standard error.",
            "Exits as submit does once the job has ended, and with 0 before."
        },
        sortOptions = false)
public final class GetCommand implements Callable<Integer> {
    private static final int MOST_SECONDS = 60;
    private static final Duration MORE = Duration.ofSeconds(10);

    private final Terminal terminal;

    @Parameters(paramLabel = "ID", description = "the job's id")
    private String id = "";

    @Mixin
    private final RestOptions rest = new RestOptions();

    @Option(names = "--wait", paramLabel = "30s", description = "wait this long for its outcome, 60s at most")
    private String waitText = "0";

    @Option(names = "--json", description = "print the service's answer as it is")
    private boolean json;

    public GetCommand(Terminal terminal) {
        this.terminal = terminal;
    }

    @Override
    public Integer call() throws Problem, InterruptedException {
        JobId jobId = WatchCommand.jobId(id);
        long wait = seconds(waitText);
        try (Rest service = rest.open()) {
            HttpRequest.Builder request = service.request("/v1/jobs/" + Rest.encoded(jobId.value()))
                    .timeout(MORE.plusSeconds(Math.max(20, wait)));
            JsonNode job = service.call((wait == 0 ? request : request.header("Prefer", "wait=" + wait)).build());
            if (json) {
                terminal.line(job.toString());
            } else {
                show(job);
            }
            return EventMark.Kind.of(job.path("status").asText())
                    .filter(kind -> kind.isOutcome() || kind == EventMark.Kind.REJECTED)
                    .map(Ending::of)
                    .orElse(Ending.COMPLETED)
                    .exitCode();
        }
    }

    /** Parses a duration into seconds. A plain number means seconds. */
    private static long seconds(String text) throws Problem {
        Duration wait =
                Durations.parse(text.matches("\\d+") ? text + "s" : text).orElse(Duration.ofSeconds(-1));
        if (wait.isNegative() || wait.toSeconds() > MOST_SECONDS) {
            throw Problem.usage("--wait: 0 to %ds, such as 30s".formatted(MOST_SECONDS));
        }
        return wait.toSeconds();
    }

    private void show(JsonNode job) throws Problem {
        for (String name : List.of(
                "status",
                "model",
                "node",
                "attempts",
                "queue_position",
                "created_at",
                "started_at",
                "finished_at",
                "dead_letter")) {
            if (job.hasNonNull(name)) {
                terminal.note("%s: %s"
                        .formatted(name.replace('_', ' '), job.path(name).asText()));
            }
        }
        if (job.hasNonNull("estimated_wait_ms")) {
            terminal.note("estimated wait: %.1f s"
                    .formatted(job.path("estimated_wait_ms").asLong() / 1000.0));
        }
        if (job.hasNonNull("waiting_for")) {
            JsonNode waiting = job.path("waiting_for");
            terminal.note("waits since %s: %s (%s)"
                    .formatted(
                            waiting.path("since").asText(),
                            waiting.path("message").asText(),
                            waiting.path("code").asText()));
        }
        if (job.hasNonNull("error")) {
            terminal.note(ValidEvent.failure(job.path("error")));
            ValidEvent.violations(job.path("error")).forEach(terminal::note);
        }
        for (JsonNode choice : job.path("response").path("choices")) {
            String text = choice.has("message")
                    ? choice.path("message").path("content").asText("")
                    : choice.path("text").asText("");
            terminal.text(text.endsWith("\n") ? text : text + "\n");
        }
        terminal.text(ScoreLines.of(job.path("response")));
        if (job.path("response").path("truncated").asBoolean()) {
            terminal.note("the answer is too large for one record: its text is in the events (penstock watch %s)"
                    .formatted(job.path("id").asText()));
        }
    }
}
