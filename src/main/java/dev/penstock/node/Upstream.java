package dev.penstock.node;

import dev.penstock.settings.NodeSettings;
import dev.penstock.settings.Settings;
import io.vertx.core.Vertx;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;

/**
 * What answers at a node: a server that somebody runs, a server that Penstock runs, or a program that it starts for each
 * request. Thread-safe.
 */
interface Upstream extends AutoCloseable {

    /**
     * @param service what holds for all nodes
     * @param afterwards a process is started only then: the one before it may still hold the memory
     */
    static Upstream of(NodeSettings settings, Settings service, Vertx vertx, CompletableFuture<?> afterwards) {
        Duration connectTimeout =
                settings.requests().timeouts().over(service.timeouts()).connect();
        NodeSettings.Program program = settings.program();
        if (program == null) {
            return new NodeClient(settings, vertx, connectTimeout, service.answers());
        }
        return switch (settings.backend()) {
            case LLAMA_CLI -> new LlamaPrograms(settings, program);
            default ->
                new LlamaServerProcess(
                        settings,
                        program,
                        Prompt.defaults(
                                service.parameters(), settings.requests().parameters()),
                        vertx,
                        connectTimeout,
                        afterwards,
                        LlamaServerProcess.Port.free());
        };
    }

    NodeSettings settings();

    /** The node as its users know it. */
    default String title() {
        return settings().title();
    }

    /** Where it is, as an address. */
    String address();

    /** Sends a request and returns its answer's stream at once. */
    TokenStream stream(Prompt prompt) throws WireProtocol.Unsupported;

    /** One look: is it there, what does it serve, how many requests does it take. */
    Node.ProbeResult probe() throws InterruptedException;

    /** A token of it has come: it lives. */
    default void heard() {}

    /** When nothing of it is left, after {@link #close}. */
    default CompletableFuture<?> ended() {
        return CompletableFuture.completedFuture(true);
    }

    /** Returns at once. */
    @Override
    void close();
}
