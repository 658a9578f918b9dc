package dev.penstock.cli.command;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.cli.job.Ending;
import dev.penstock.cli.job.Problem;
import dev.penstock.cli.rest.Rest;
import dev.penstock.cli.rest.RestOptions;
import dev.penstock.cli.view.Table;
import dev.penstock.cli.view.Terminal;
import java.net.http.HttpRequest;
import java.util.List;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code penstock dlq}: lists, retries or drops dead letters. */
@Command(
        name = "dlq",
        mixinStandardHelpOptions = true,
        versionProvider = PenstockCommand.Version.class,
        description =
                "Dead letters: records that were no valid jobs, ended their workers, or were dropped by the broker.",
        sortOptions = false)
public final class DlqCommand implements Runnable {
    private final Terminal terminal;

    @Spec
    private CommandSpec spec = CommandSpec.create();

    public DlqCommand(Terminal terminal) {
        this.terminal = terminal;
    }

    @Override
    public void run() {
        throw new ParameterException(spec.commandLine(), "dlq: one of list, show, retry, drop is missing");
    }

    @Command(
            name = "list",
            mixinStandardHelpOptions = true,
            description = "Lists the dead letters, newest first.",
            sortOptions = false)
    int list(
            @Mixin RestOptions rest,
            @Option(
                            names = "--limit",
                            paramLabel = "N",
                            defaultValue = "20",
                            description = "how many at most, up to 100; default ${DEFAULT-VALUE}")
                    int limit,
            @Option(names = "--json", description = "print the service's answer in place of a table") boolean json)
            throws Problem, InterruptedException {
        try (Rest service = rest.open()) {
            JsonNode letters =
                    service.call(service.request("/v1/dlq?limit=" + limit).build());
            if (json) {
                terminal.line(letters.toString());
            } else {
                terminal.text(table(letters));
            }
        }
        return Ending.COMPLETED.exitCode();
    }

    @Command(
            name = "show",
            mixinStandardHelpOptions = true,
            description =
                    "Shows a dead letter: its record goes to standard output, everything about it to standard error.",
            sortOptions = false)
    int show(
            @Mixin RestOptions rest,
            @Parameters(paramLabel = "ID", description = "as dlq list shows it: PARTITION-OFFSET") String id)
            throws Problem, InterruptedException {
        try (Rest service = rest.open()) {
            JsonNode letter =
                    service.call(service.request("/v1/dlq/" + Rest.encoded(id)).build());
            for (String name : List.of("job_id", "reason", "message", "attempts", "at")) {
                terminal.note("%s: %s"
                        .formatted(name.replace('_', ' '), letter.path(name).asText()));
            }
            terminal.note("record: " + place(letter));
            terminal.line(
                    letter.has("value_base64")
                            ? letter.path("value_base64").asText()
                            : letter.path("value").asText(""));
        }
        return Ending.COMPLETED.exitCode();
    }

    @Command(
            name = "retry",
            mixinStandardHelpOptions = true,
            description = "Sends the jobs of dead letters again, each as a new job that refers to the old one.",
            sortOptions = false)
    int retry(
            @Mixin RestOptions rest,
            @Parameters(paramLabel = "ID", arity = "1..*", description = "as dlq list shows them") List<String> ids)
            throws Problem, InterruptedException {
        try (Rest service = rest.open()) {
            for (String id : ids) {
                JsonNode job = service.call(service.change("/v1/dlq/%s/retry".formatted(Rest.encoded(id)))
                        .POST(HttpRequest.BodyPublishers.noBody())
                        .build());
                terminal.line(job.path("id").asText());
            }
        }
        return Ending.COMPLETED.exitCode();
    }

    @Command(
            name = "drop",
            mixinStandardHelpOptions = true,
            description = "Drops dead letters: they are listed no more.",
            sortOptions = false)
    int drop(
            @Mixin RestOptions rest,
            @Parameters(paramLabel = "ID", arity = "1..*", description = "as dlq list shows them") List<String> ids)
            throws Problem, InterruptedException {
        try (Rest service = rest.open()) {
            for (String id : ids) {
                service.call(
                        service.change("/v1/dlq/" + Rest.encoded(id)).DELETE().build());
                terminal.note("dead letter %s is dropped".formatted(id));
            }
        }
        return Ending.COMPLETED.exitCode();
    }

    private static String table(JsonNode letters) {
        Table table = new Table(List.of("ID", "AT", "REASON", "JOB", "RECORD", "MESSAGE"));
        for (JsonNode letter : letters.path("data")) {
            table.add(List.of(
                    letter.path("id").asText(),
                    letter.path("at").asText(),
                    letter.path("reason").asText(),
                    letter.path("job_id").asText(),
                    place(letter),
                    letter.path("message").asText()));
        }
        return table.toString();
    }

    private static String place(JsonNode letter) {
        JsonNode record = letter.path("record");
        return "%s/%s/%s"
                .formatted(
                        record.path("topic").asText(),
                        record.path("partition").asText(),
                        record.path("offset").asText());
    }
}
