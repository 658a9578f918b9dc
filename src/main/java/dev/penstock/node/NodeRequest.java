package dev.penstock.node;

import dev.penstock.job.JobFailure;
import dev.penstock.node.media.MediaFetcher;
import dev.penstock.node.protocol.Prompt;
import dev.penstock.node.protocol.WireProtocol;
import dev.penstock.node.upstream.TokenStream;
import dev.penstock.node.upstream.Upstream;
import org.jboss.logging.Logger;

/** A job's request in the form for one node. Closing it frees the memory of its media. */
public final class NodeRequest implements AutoCloseable {
    private static final Logger LOG = Logger.getLogger(NodeRequest.class);

    private final Upstream upstream;
    private final Prompt prompt;
    private final MediaFetcher.Inlined inlined;

    NodeRequest(Upstream upstream, Prompt prompt, MediaFetcher.Inlined inlined) {
        this.upstream = upstream;
        this.prompt = prompt;
        this.inlined = inlined;
    }

    /** Sends the request; the caller holds a slot. */
    public TokenStream stream() throws WireProtocol.Unsupported {
        try {
            return upstream.stream(prompt);
        } catch (RuntimeException | StackOverflowError e) {
            // the job is the cause: its request would fail at any node
            LOG.errorf(
                    e,
                    "node=%s the request of a job could not be built",
                    upstream.settings().name());
            throw new WireProtocol.Unsupported(JobFailure.of(
                    JobFailure.Code.NODE_ERROR,
                    "%s: the request for it could not be built".formatted(upstream.title())));
        }
    }

    @Override
    public void close() {
        inlined.close();
    }
}
