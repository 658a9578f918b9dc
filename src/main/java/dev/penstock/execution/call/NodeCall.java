package dev.penstock.execution.call;

import dev.penstock.job.TokenEvent;
import dev.penstock.node.Node;
import dev.penstock.node.NodeRequest;
import dev.penstock.node.StallTimeouts;
import dev.penstock.node.media.Until;
import dev.penstock.node.protocol.WireProtocol;
import dev.penstock.node.upstream.TokenStream;
import java.util.Objects;
import java.util.OptionalLong;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * One request at one node, in the slot that it holds. Not thread-safe, except for {@link #wake}: one thread at a time
 * owns it. Closing it ends the request. The slot stays, because the end of the request is noted there afterwards.
 */
public final class NodeCall implements AutoCloseable {
    private final Node.Slot slot;
    private final String model;
    private @Nullable NodeRequest request;
    private @Nullable StallTimeouts silence;
    private volatile @Nullable TokenStream stream;
    private boolean closed;

    /**
     * @param slot the room at the node
     * @param model the requested model
     */
    public NodeCall(Node.Slot slot, String model) {
        this.slot = slot;
        this.model = model;
    }

    public Node.Slot slot() {
        return slot;
    }

    public Node node() {
        return slot.node();
    }

    public String model() {
        return model;
    }

    public boolean isOpen() {
        return stream != null;
    }

    /**
     * Builds the request and sends it.
     *
     * @param until ends any wait for media
     * @throws WireProtocol.Unsupported if the node cannot have such a request; the node is not the cause
     */
    public void open(Asked asked, Until until, LongSupplier nanos)
            throws WireProtocol.Unsupported, InterruptedException, Until.Over {
        NodeRequest sent =
                node().request(asked.job(), model, asked.rule().set().parameters(), asked.continued(), until);
        slot.sent();
        request = sent;
        TokenStream opened = sent.stream();
        // the node cannot answer while the media are fetched, so the stall timeout begins here
        silence = new StallTimeouts(
                node().settings(),
                asked.rule().timeouts().over(node().timeouts()),
                asked.job().task(),
                nanos.getAsLong());
        stream = opened;
    }

    /** Returns the events of the answer. The request was sent. */
    public TokenStream stream() {
        return Objects.requireNonNull(stream);
    }

    /** Returns whether the node makes its model follow the schema in {@code response_format}. The request was sent. */
    public boolean enforcesSchema() {
        return node().settings().backend().enforcesSchema()
                && !stream().ignoredParameters().contains("response_format");
    }

    /** Returns the limits of the node's silence. The request was sent. */
    public StallTimeouts silence() {
        return Objects.requireNonNull(silence);
    }

    /** Returns the most tokens of the answer, without the published text; empty if there is no limit. */
    public OptionalLong limit() {
        NodeRequest sent = request;
        return sent == null ? OptionalLong.empty() : sent.limit();
    }

    /** Ends a wait for the next event. Any thread may call it. */
    public void wake() {
        TokenStream opened = stream;
        if (opened != null) {
            opened.wake();
        }
    }

    /** Returns whether the node has begun its answer with this event. */
    public static boolean speaks(TokenEvent event) {
        return switch (event) {
            case TokenEvent.Text _,
                    TokenEvent.ToolCall _,
                    TokenEvent.Thinking _,
                    TokenEvent.Logprobs _,
                    TokenEvent.Embedding _,
                    TokenEvent.Scored _ -> true;
            case TokenEvent.Model _,
                    TokenEvent.Role _,
                    TokenEvent.Finish _,
                    TokenEvent.Spent _,
                    TokenEvent.End _,
                    TokenEvent.Broken _ -> false;
        };
    }

    @Override
    public void close() {
        if (closed) {
            return;
        }
        closed = true;
        try (var _ = request;
                var _ = stream) {
            // the resources only have to be closed
        }
    }
}
