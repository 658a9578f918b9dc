package dev.penstock.cli.command;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.cli.job.Ending;
import dev.penstock.cli.job.Problem;
import dev.penstock.cli.rest.Rest;
import dev.penstock.cli.rest.RestOptions;
import dev.penstock.cli.view.Table;
import dev.penstock.cli.view.Terminal;
import java.io.IOException;
import java.net.http.HttpRequest;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code penstock route}: explains where a job would run. */
@Command(
        name = "route",
        mixinStandardHelpOptions = true,
        versionProvider = PenstockCommand.Version.class,
        description = {
            "Shows which routing rule matches a job, which nodes may run it, and why the others may not.",
            "Nothing runs."
        },
        sortOptions = false)
public final class RouteCommand implements Callable<Integer> {
    private static final String STDIN = "-";

    private final Terminal terminal;

    @Parameters(paramLabel = "JOB", description = "a file with the document of a job; - reads it from stdin")
    private String file = STDIN;

    @Mixin
    private final RestOptions rest = new RestOptions();

    @Option(names = "--json", description = "print the service's answer in place of tables")
    private boolean json;

    public RouteCommand(Terminal terminal) {
        this.terminal = terminal;
    }

    @Override
    public Integer call() throws Problem, InterruptedException {
        byte[] job = job();
        try (Rest service = rest.open()) {
            JsonNode route = service.call(service.change("/v1/route")
                    .POST(HttpRequest.BodyPublishers.ofByteArray(job))
                    .build());
            if (json) {
                terminal.line(route.toString());
            } else {
                terminal.text(text(route));
            }
        }
        return Ending.COMPLETED.exitCode();
    }

    private byte[] job() throws Problem {
        try {
            return file.equals(STDIN) ? terminal.in().readAllBytes() : Files.readAllBytes(Path.of(file));
        } catch (IOException e) {
            throw Problem.usage("%s cannot be read: %s".formatted(file.equals(STDIN) ? "stdin" : file, e.getMessage()));
        }
    }

    static String text(JsonNode route) {
        Table facts = new Table(List.of("RULE", "SET", "TOKENS"));
        facts.add(List.of(
                route.path("rule").asText("none"),
                route.path("set").isEmpty() ? "" : route.path("set").toString(),
                route.path("estimated_tokens").asText()));
        Table candidates = new Table(List.of("CANDIDATE", "MODEL", "SCORE", "WHY"));
        for (JsonNode candidate : route.path("candidates")) {
            candidates.add(List.of(
                    candidate.path("node").asText(),
                    candidate.path("model").asText(),
                    String.format(Locale.ROOT, "%.2f", candidate.path("score").asDouble()),
                    candidate.path("why").asText()));
        }
        Table excluded = new Table(List.of("EXCLUDED", "WHY"));
        for (JsonNode node : route.path("excluded")) {
            excluded.add(List.of(node.path("node").asText(), node.path("why").asText()));
        }
        return facts + "\n" + candidates + (route.path("excluded").isEmpty() ? "" : "\n" + excluded);
    }
}
