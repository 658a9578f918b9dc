package dev.penstock.cli.command;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.cli.job.Ending;
import dev.penstock.cli.job.Problem;
import dev.penstock.cli.rest.Rest;
import dev.penstock.cli.rest.RestOptions;
import dev.penstock.cli.rest.StreamBody;
import dev.penstock.cli.view.InterruptNote;
import dev.penstock.cli.view.PullProgress;
import dev.penstock.cli.view.Terminal;
import dev.penstock.wire.Json;
import dev.penstock.wire.SseParser;
import java.io.IOException;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code penstock pull}: pulls or loads a model at a node, and shows the progress to the end. */
@Command(
        name = "pull",
        mixinStandardHelpOptions = true,
        versionProvider = PenstockCommand.Version.class,
        description = {
            "Pulls a model onto a node (Ollama), or loads it there (llama-server in router mode), and shows its progress.",
            "The pull goes on when this command is interrupted; the same command watches it again."
        },
        sortOptions = false)
public final class PullCommand implements Callable<Integer> {
    /** The silence after which the connection counts as broken. The service sends a comment every 15 s. */
    private static final Duration SILENCE = Duration.ofSeconds(50);

    private static final Set<String> PULLING = Set.of("ollama", "llama-server");

    private final Terminal terminal;

    @Parameters(paramLabel = "MODEL", description = "such as llama3.2:3b, or hf:USER/REPO:QUANT from Hugging Face")
    private String model = "";

    @Option(names = "--node", paramLabel = "N", description = "where; default: the only node that pulls")
    private @Nullable String node;

    @Option(names = "--pool", paramLabel = "P", description = "every node of this pool")
    private @Nullable String pool;

    @Mixin
    private final RestOptions rest = new RestOptions();

    public PullCommand(Terminal terminal) {
        this.terminal = terminal;
    }

    @Override
    public Integer call() throws Problem, InterruptedException {
        if (node != null && pool != null) {
            throw Problem.usage("either --node or --pool, not both");
        }
        try (Rest service = rest.open();
                var _ = new InterruptNote(terminal, "the pull goes on; the same command watches it again")) {
            String path = pool != null
                    ? "/v1/nodes/-/models?pool=" + Rest.encoded(pool)
                    : "/v1/nodes/%s/models".formatted(Rest.encoded(node == null ? only(service) : node));
            HttpRequest request = service.change(path)
                    .setHeader("Accept", "text/event-stream, application/json")
                    .POST(HttpRequest.BodyPublishers.ofByteArray(Json.bytes(Map.of("model", model))))
                    .build();
            return follow(service, request).exitCode();
        }
    }

    /** Returns the only node that can pull models. Throws a problem if there are several such nodes or none. */
    private static String only(Rest service) throws Problem, InterruptedException {
        List<String> pulling = new ArrayList<>();
        for (JsonNode node : service.call(service.request("/v1/nodes").build()).path("data")) {
            if (PULLING.contains(node.path("backend").asText())) {
                pulling.add(node.path("name").asText());
            }
        }
        if (pulling.size() != 1) {
            throw Problem.usage(
                    pulling.isEmpty()
                            ? "no node pulls models: only those of backend ollama and llama-server do"
                            : "--node or --pool is missing: " + String.join(", ", pulling));
        }
        return pulling.getFirst();
    }

    private Ending follow(Rest service, HttpRequest request) throws Problem, InterruptedException {
        try {
            HttpResponse<StreamBody> response = service.open(request);
            try (StreamBody body = response.body();
                    PullProgress progress = new PullProgress(terminal, model)) {
                if (response.statusCode() != 200) {
                    throw service.refused(response.statusCode(), body.whole(SILENCE));
                }
                Set<String> begun = new HashSet<>();
                boolean failed = false;
                List<SseParser.Event> arrived = new ArrayList<>();
                SseParser parser = new SseParser(arrived::add);
                for (ByteBuffer piece = body.next(SILENCE); piece != null; piece = body.next(SILENCE)) {
                    arrived.clear();
                    parser.feed(piece);
                    for (SseParser.Event event : arrived) {
                        JsonNode data = Json.parseLenient(event.data());
                        String at = data == null ? "" : data.path("node").asText();
                        if (data != null && event.name().equals("progress")) {
                            begun.add(at);
                            progress.at(at, data);
                        } else if (data != null) {
                            begun.remove(at);
                            failed |= event.name().equals("failed");
                            progress.end(at, event.name().equals("failed") ? data.path("error") : null);
                        }
                    }
                }
                if (!begun.isEmpty()) {
                    throw Problem.brokenOff("the stream of %s ended early; the pull goes on at %s"
                            .formatted(service.base(), String.join(", ", begun)));
                }
                return failed ? Ending.FAILED : Ending.COMPLETED;
            }
        } catch (IOException e) {
            throw Problem.brokenOff(service.unreachable(e));
        }
    }
}
