package dev.penstock.node.upstream;

import dev.penstock.node.protocol.Prompt;
import dev.penstock.node.protocol.WireProtocol;
import dev.penstock.settings.NodeSettings;
import java.util.concurrent.CompletableFuture;

/**
 * What answers at a node: a server that runs on its own, a server that Penstock runs, or a program that it starts for
 * each request. Thread-safe.
 */
public interface Upstream extends AutoCloseable {

    NodeSettings settings();

    /** Returns the node's name for users. */
    default String title() {
        return settings().title();
    }

    /** Returns its address. */
    String address();

    /** Sends a request and returns its answer's stream at once. */
    TokenStream stream(Prompt prompt) throws WireProtocol.Unsupported;

    /** Probes it: whether it answers, its models, and the number of requests that it takes at once. */
    ProbeResult probe() throws InterruptedException;

    /** A token came from it, so it is alive. */
    default void heard() {}

    /** Returns a future that is done when its processes have ended, after {@link #close}. */
    default CompletableFuture<?> ended() {
        return CompletableFuture.completedFuture(true);
    }

    /** Returns at once. */
    @Override
    void close();
}
