package dev.penstock.node.upstream;

import dev.penstock.node.protocol.Prompt;
import dev.penstock.node.protocol.WireProtocol;
import dev.penstock.node.signals.Scrape;
import dev.penstock.settings.NodeSettings;
import java.time.Duration;
import java.util.OptionalLong;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;

/**
 * The upstream of a node: a server that runs on its own, a server that Penstock runs, or a program that Penstock starts
 * for each request. Thread-safe.
 */
public interface Upstream extends AutoCloseable {

    NodeSettings settings();

    /** Returns the node's name for users. */
    default String title() {
        return settings().title();
    }

    /** Returns the upstream's address. */
    String address();

    /** Sends a request. Returns the stream of its answer at once. */
    TokenStream stream(Prompt prompt) throws WireProtocol.Unsupported;

    /** Returns whether the upstream can continue the published text of an answer to this prompt. */
    default WireProtocol.Continues continues(Prompt prompt, String text) {
        return WireProtocol.Continues.CANNOT;
    }

    /** Asks the upstream for the number of a chat's tokens; empty if it cannot count them, or does not answer. */
    default OptionalLong countTokens(Prompt prompt) throws InterruptedException {
        return OptionalLong.empty();
    }

    /**
     * Probes the upstream. It finds out whether the upstream answers, which models it has, and how many requests it
     * takes at once.
     */
    ProbeResult probe() throws InterruptedException;

    /** Asks the upstream for its own view of its load. */
    default Scrape scrape() throws InterruptedException {
        return new Scrape.None();
    }

    /** Notes that a token came from the upstream, so that the upstream is alive. */
    default void heard() {}

    /**
     * Sets a listener. It is called with the time until the upstream takes requests again, when an answer reports that
     * a limit of the upstream is used up.
     */
    default void onUsedUp(Consumer<Duration> listener) {}

    /** Returns a future that is done when the upstream's processes have ended after {@link #close}. */
    default CompletableFuture<?> ended() {
        return CompletableFuture.completedFuture(true);
    }

    /** Closes the upstream; returns at once. */
    @Override
    void close();
}
