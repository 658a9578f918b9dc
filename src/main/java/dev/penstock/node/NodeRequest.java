package dev.penstock.node;

import dev.penstock.job.JobFailure;
import dev.penstock.job.PromptJob;
import dev.penstock.job.PublishedText;
import dev.penstock.node.media.MediaFetcher;
import dev.penstock.node.protocol.Prompt;
import dev.penstock.node.protocol.WireProtocol;
import dev.penstock.node.upstream.ContinuedStream;
import dev.penstock.node.upstream.NothingLeft;
import dev.penstock.node.upstream.TokenStream;
import dev.penstock.node.upstream.Upstream;
import dev.penstock.settings.NodeSettings;
import dev.penstock.settings.Settings;
import java.util.Map;
import java.util.OptionalLong;
import org.jboss.logging.Logger;
import org.jspecify.annotations.Nullable;

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
     * @param parameters the values of the job's routing rule for fields that the job does not set
     * @param published the text that the answer continues; null if the answer starts over
     */
    static NodeRequest of(
            Upstream upstream,
            Settings service,
            PromptJob job,
            String model,
            Map<String, Object> parameters,
            MediaFetcher.Inlined inlined,
            @Nullable PublishedText published) {
        NodeSettings.Requests requests = upstream.settings().requests();
        Prompt prompt = Prompt.of(
                job.task(),
                model,
                inlined.body(),
                defaults(service, requests, parameters),
                requests.extraBody(),
                requests.embeddingBatch().orElse(0));
        return new NodeRequest(upstream, published == null ? prompt : prompt.continuing(published), inlined);
    }

    /** Returns whether the upstream can continue the published text of the job's answer. */
    static boolean canContinue(
            Upstream upstream,
            Settings service,
            PromptJob job,
            String model,
            Map<String, Object> parameters,
            String text) {
        NodeSettings.Requests requests = upstream.settings().requests();
        Map<String, Object> defaults = defaults(service, requests, parameters);
        // the media are not needed for this, so they are not fetched
        Prompt prompt = new Prompt(job.task(), model, job.body(), defaults, requests.extraBody(), 0, null);
        return Prompt.isOneText(defaults)
                && Prompt.isOneText(requests.extraBody())
                && upstream.continues(prompt, text) != WireProtocol.Continues.CANNOT;
    }

    private static Map<String, Object> defaults(
            Settings service, NodeSettings.Requests requests, Map<String, Object> parameters) {
        return Prompt.defaults(Prompt.defaults(service.parameters(), requests.parameters()), parameters);
    }

    /** Sends the request; the caller holds a slot. */
    public TokenStream stream() throws WireProtocol.Unsupported {
        try {
            PublishedText published = prompt.published();
            if (published == null) {
                return upstream.stream(prompt);
            }
            return prompt.hasTokensLeft()
                    ? new ContinuedStream(
                            upstream.stream(prompt), prompt, published, upstream.continues(prompt, published.text()))
                    : new NothingLeft();
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

    /** Asks the upstream for the number of the prompt's tokens; empty if it cannot count them, or does not answer. */
    public OptionalLong countTokens() throws InterruptedException {
        return upstream.countTokens(prompt);
    }

    /** Returns the most tokens that the answer may have, without the published text; empty if there is no limit. */
    public OptionalLong limit() {
        OptionalLong limit = prompt.limit();
        return limit.isPresent() && limit.getAsLong() < 0 ? OptionalLong.empty() : limit;
    }

    @Override
    public void close() {
        inlined.close();
    }
}
