package dev.penstock.node;

import dev.penstock.job.JobFailure;
import dev.penstock.job.PromptJob;
import dev.penstock.node.media.MediaFetcher;
import dev.penstock.node.protocol.Prompt;
import dev.penstock.node.protocol.WireProtocol;
import dev.penstock.node.upstream.TokenStream;
import dev.penstock.node.upstream.Upstream;
import dev.penstock.settings.NodeSettings;
import dev.penstock.settings.Settings;
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

    /**
     * Builds a request.
     *
     * @param inlined the job's body with its media
     */
    static NodeRequest of(
            PromptJob job, String model, Upstream upstream, Settings service, MediaFetcher.Inlined inlined) {
        NodeSettings.Requests requests = upstream.settings().requests();
        Prompt prompt = Prompt.of(
                job.task(),
                model,
                inlined.body(),
                Prompt.defaults(service.parameters(), requests.parameters()),
                requests.extraBody(),
                requests.embeddingBatch().orElse(0));
        return new NodeRequest(upstream, prompt, inlined);
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
