package dev.penstock.node;

import dev.penstock.node.http.NodeClient;
import dev.penstock.settings.Backend;
import dev.penstock.settings.NodeSettings;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.FakeUpstream;
import dev.penstock.testkit.upstream.Flavour;
import dev.penstock.testkit.upstream.Recording;
import io.vertx.core.Vertx;
import java.net.URI;
import java.time.Duration;
import java.util.Optional;

/** The scripted server, in the dialect of any backend. */
final class FakeSubject implements Subject {
    private static final Duration SHORT = Duration.ofMillis(500);
    /** The server says nothing, so no machine is too busy for it. */
    private static final Duration SILENT = Duration.ofMillis(150);

    private static final Duration PATIENT = Duration.ofMinutes(2);

    private final FakeUpstream fake;
    private final Backend backend;
    private final NodeClient client;
    private final Vertx vertx;

    FakeSubject(FakeUpstream fake, Backend backend, Vertx vertx) {
        this.fake = fake;
        this.backend = backend;
        this.vertx = vertx;
        client = new NodeClient(NodeSettings.at(backend, URI.create(fake.url())), vertx, Duration.ofSeconds(2));
        fake.flavour(backend == Backend.LLAMA_SERVER ? Flavour.LLAMA_SERVER : Flavour.VLLM);
    }

    @Override
    public Optional<Stage> stage(ContractCase wanted) {
        if (wanted == ContractCase.EMBEDDINGS && backend == Backend.ANTHROPIC) {
            return Optional.empty();
        }
        Answer answer = switch (wanted) {
            case PLAIN_ANSWER, STREAM, COMPLETION, USAGE, STOP, EMBEDDINGS -> Answer.unicode(12);
            case LENGTH -> Answer.tokens(4).finishReason("length");
            case TOOLS -> Answer.raw(Recording.of(tools()).bytes());
            case JSON_SCHEMA -> Answer.of("{\"ok\"", ":true}");
            case REASONING -> Answer.unicode(3).reasoning("Let me", " think");
            // characters of two, three and four bytes, in pieces that are slow enough for the client to read one by one
            case UNICODE -> Answer.unicode(3).everyByteAlone().pauseBetweenPieces(Duration.ofNanos(100_000));
            case ERROR_BEFORE_THE_FIRST_TOKEN -> Answer.refuse(503, "too busy");
            case ERROR_IN_MID_STREAM -> Answer.tokens(9).failAfter(3);
            case CUT_IN_MID_STREAM -> Answer.tokens(9).closeAfter(3);
            case CONNECT_TIMEOUT -> Answer.of();
            case FIRST_TOKEN_TIMEOUT -> Answer.tokens(5).stallBeforeResponse();
            case IDLE_TIMEOUT -> Answer.tokens(5).stallAfter(2);
            case CANCEL -> Answer.tokens(100_000).every(Duration.ofMillis(2));
        };
        fake.reset();
        fake.script(_ -> answer);
        if (wanted == ContractCase.CONNECT_TIMEOUT) {
            NodeSettings full = NodeSettings.at(backend, FullServer.get().url());
            return Optional.of(Stage.of(new NodeClient(full, vertx, Duration.ofMillis(300)), "tiny"));
        }
        Stage stage = Stage.of(client, "tiny").idleWhen(() -> fake.stats().inFlight() == 0);
        return Optional.of(
                switch (wanted) {
                    case PLAIN_ANSWER, COMPLETION, UNICODE, EMBEDDINGS -> stage.expecting(answer.joined());
                    // a busy machine may be as late with its first token
                    case IDLE_TIMEOUT -> stage.within(PATIENT, SHORT);
                    case FIRST_TOKEN_TIMEOUT -> stage.within(SILENT, PATIENT);
                    default -> stage;
                });
    }

    private String tools() {
        return switch (backend) {
            case OLLAMA -> "ollama/tools-go-stream";
            case ANTHROPIC -> "vllm/anthropic-tool-stream";
            case LLAMA_SERVER -> "llama-server/tools-required-stream";
            default -> "vllm/tool-required-stream";
        };
    }
}
