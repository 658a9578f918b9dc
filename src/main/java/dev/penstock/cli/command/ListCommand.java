package dev.penstock.cli.command;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.cli.job.Ending;
import dev.penstock.cli.job.Problem;
import dev.penstock.cli.rest.Rest;
import dev.penstock.cli.rest.RestOptions;
import dev.penstock.cli.view.Table;
import dev.penstock.cli.view.Terminal;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code penstock list}: prints the newest jobs. */
@Command(
        name = "list",
        mixinStandardHelpOptions = true,
        versionProvider = PenstockCommand.Version.class,
        description = "Lists the newest jobs, whichever replica accepted them.",
        sortOptions = false)
public final class ListCommand implements Callable<Integer> {

    private final Terminal terminal;

    @Mixin
    private final RestOptions rest = new RestOptions();

    @Option(
            names = "--status",
            paramLabel = "S",
            description = "only jobs that are queued, running, completed, failed, cancelled, expired or rejected")
    private @Nullable String status;

    @Mixin
    private final ListFilters filters = new ListFilters();

    @Option(
            names = "--limit",
            paramLabel = "N",
            defaultValue = "20",
            description = "how many; default ${DEFAULT-VALUE}")
    private int limit;

    @Option(names = "--watch", description = "show it again every second, until it is interrupted")
    private boolean watch;

    @Option(names = "--json", description = "print each job as a line of JSON in place of a table")
    private boolean json;

    public ListCommand(Terminal terminal) {
        this.terminal = terminal;
    }

    @Override
    public Integer call() throws Problem, InterruptedException {
        if (limit < 1) {
            throw Problem.usage("--limit: at least 1");
        }
        try (Rest service = rest.open()) {
            print(filters.jobs(service, status, limit));
            while (watch) {
                TimeUnit.SECONDS.sleep(1);
                List<JsonNode> jobs = filters.jobs(service, status, limit);
                terminal.clearScreen();
                print(jobs);
            }
        }
        return Ending.COMPLETED.exitCode();
    }

    private void print(List<JsonNode> jobs) throws Problem {
        if (!json) {
            terminal.text(table(jobs, Instant.now()));
            return;
        }
        for (JsonNode job : jobs) {
            terminal.line(job.toString());
        }
    }

    static String table(List<JsonNode> jobs, Instant now) {
        Table table = new Table(List.of(
                "ID", "STATUS", "AGE", "TOOK", "ATTEMPTS", "TASK", "MODEL", "NODE", "PRIORITY", "WAITS FOR", "ERROR"));
        for (JsonNode job : jobs) {
            // a rejected record has only the time of its refusal
            Instant created = Instant.parse(
                    job.hasNonNull("created_at")
                            ? job.path("created_at").asText()
                            : job.path("finished_at").asText());
            table.add(List.of(
                    job.path("id").asText(),
                    job.path("status").asText(),
                    span(Duration.between(created, now)),
                    job.hasNonNull("finished_at")
                            ? span(Duration.between(
                                    created,
                                    Instant.parse(job.path("finished_at").asText())))
                            : "",
                    job.path("attempts").asText(""),
                    job.path("task").asText(""),
                    job.path("model").asText(""),
                    job.path("node").asText(""),
                    job.path("priority").asText(""),
                    job.path("waiting_for").path("code").asText(""),
                    job.path("error").path("code").asText("")));
        }
        return table.toString();
    }

    private static String span(Duration duration) {
        long seconds = Math.max(0, duration.toSeconds());
        if (seconds < 10) {
            return "%.1fs".formatted(Math.max(0, duration.toMillis()) / 1000.0);
        }
        return seconds < 120
                ? seconds + "s"
                : seconds < 7_200
                        ? seconds / 60 + "m"
                        : seconds < 172_800 ? seconds / 3_600 + "h" : seconds / 86_400 + "d";
    }
}
