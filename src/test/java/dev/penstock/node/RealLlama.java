package dev.penstock.node;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.node.http.NodeClient;
import dev.penstock.settings.Backend;
import dev.penstock.settings.NodeSettings;
import dev.penstock.testkit.LlamaServer;
import dev.penstock.testkit.Rest;
import io.vertx.core.Vertx;
import java.net.URI;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import org.opentest4j.TestAbortedException;

/** Real llama-servers, one for each model in use. They have OpenAI's API, and Anthropic's too. */
final class RealLlama implements AutoCloseable {
    private final Vertx vertx = Vertx.vertx();
    private final Map<String, LlamaServer> servers = new HashMap<>();

    /** Returns a subject for one backend. */
    Subject as(Backend backend) {
        return wanted -> stage(backend, wanted);
    }

    /** Returns a client of the server with this model. */
    NodeClient client(Backend backend, LlamaServer.Model model, String... more) throws InterruptedException {
        return client(backend, server(model, more).url());
    }

    private NodeClient client(Backend backend, URI url) {
        return new NodeClient(NodeSettings.at(backend, url), vertx, Duration.ofSeconds(5));
    }

    LlamaServer server(LlamaServer.Model model, String... more) throws InterruptedException {
        String key = model + String.join(" ", more);
        LlamaServer known = servers.get(key);
        if (known == null) {
            known = start(model, more);
            servers.put(key, known);
        }
        return known;
    }

    private static LlamaServer start(LlamaServer.Model model, String... more) throws InterruptedException {
        return switch (LlamaServer.start(model, more)) {
            case LlamaServer.Start.Started(LlamaServer server) -> server;
            case LlamaServer.Start.Unavailable(String why) -> throw new TestAbortedException("SKIPPED: " + why);
        };
    }

    private Optional<Stage> stage(Backend backend, ContractCase wanted) throws InterruptedException {
        boolean anthropic = backend == Backend.ANTHROPIC;
        return switch (wanted) {
            case PLAIN_ANSWER, STREAM, COMPLETION, USAGE, LENGTH, UNICODE ->
                Optional.of(Stage.of(client(backend, LlamaServer.Model.ENDLESS), LlamaServer.MODEL));
            case STOP -> Optional.of(Stage.of(client(backend, LlamaServer.Model.TINY), LlamaServer.MODEL));
            // its /v1/messages has no output_config
            case JSON_SCHEMA ->
                anthropic
                        ? Optional.empty()
                        : Optional.of(Stage.of(client(backend, LlamaServer.Model.TINY), LlamaServer.MODEL));
            case TOOLS ->
                Optional.of(Stage.of(client(backend, LlamaServer.Model.TOOLS), LlamaServer.MODEL)
                        .trying(20));
            case REASONING ->
                Optional.of(Stage.of(client(backend, LlamaServer.Model.THINK), LlamaServer.MODEL)
                        .trying(20));
            case EMBEDDINGS ->
                anthropic
                        ? Optional.empty()
                        : Optional.of(Stage.of(
                                client(backend, LlamaServer.Model.TINY, "--embeddings", "--pooling", "mean"),
                                LlamaServer.MODEL));
            case ERROR_BEFORE_THE_FIRST_TOKEN ->
                Optional.of(Stage.of(client(backend, LlamaServer.Model.TINY), LlamaServer.MODEL)
                        .saying("the river ".repeat(6000)));
            // it was never seen to send an error in mid-stream
            case ERROR_IN_MID_STREAM -> Optional.empty();
            case CUT_IN_MID_STREAM -> {
                // a tiny model finishes its answer before it is killed
                LlamaServer own = start(LlamaServer.Model.SLOW);
                servers.put("cut " + servers.size(), own);
                yield Optional.of(
                        Stage.of(client(backend, own.url()), LlamaServer.MODEL).onFirstToken(own::kill9));
            }
            // a server that accepts no connection has no dialect
            case CONNECT_TIMEOUT -> Optional.empty();
            case FIRST_TOKEN_TIMEOUT, IDLE_TIMEOUT -> {
                LlamaServer server = server(LlamaServer.Model.ENDLESS, "--parallel", "1");
                Stage stage = Stage.of(client(backend, server.url()), LlamaServer.MODEL)
                        .within(Duration.ofSeconds(20), Duration.ofSeconds(1))
                        .idleWhen(() -> {
                            server.process().thaw();
                            return busySlots(server.url()) == 0;
                        });
                if (wanted == ContractCase.FIRST_TOKEN_TIMEOUT) {
                    server.process().freeze();
                    yield Optional.of(stage.within(Duration.ofSeconds(1), Duration.ofSeconds(1)));
                }
                yield Optional.of(stage.onFirstToken(server.process()::freeze));
            }
            case CANCEL -> {
                LlamaServer server = server(LlamaServer.Model.ENDLESS);
                yield Optional.of(Stage.of(client(backend, server.url()), LlamaServer.MODEL)
                        .idleWhen(() -> busySlots(server.url()) == 0));
            }
        };
    }

    /** Returns the number of busy slots in its /slots. */
    static long busySlots(URI url) {
        JsonNode slots;
        try {
            slots = Rest.get(url, "/slots").json();
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
        long busy = 0;
        for (JsonNode slot : slots) {
            busy += slot.path("is_processing").asBoolean() ? 1 : 0;
        }
        return busy;
    }

    @Override
    public void close() {
        servers.values().forEach(LlamaServer::close);
        vertx.close().toCompletionStage().toCompletableFuture().join();
    }
}
