package dev.penstock.api.anthropic;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.api.call.ApiException;
import dev.penstock.api.direct.DirectCalls;
import dev.penstock.job.JobFailure;
import dev.penstock.settings.Settings;
import dev.penstock.wire.Json;
import io.smallrye.common.annotation.RunOnVirtualThread;
import io.vertx.ext.web.RoutingContext;
import jakarta.ws.rs.Consumes;
import jakarta.ws.rs.POST;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.Produces;
import jakarta.ws.rs.QueryParam;
import jakarta.ws.rs.core.Context;
import jakarta.ws.rs.core.MediaType;
import jakarta.ws.rs.core.Response;
import org.jspecify.annotations.Nullable;

/**
 * Anthropic's messages API over all backends. The headers x-api-key, anthropic-version and anthropic-beta have no effect,
 * and no node gets them.
 */
@Path(MessagesResource.PATH)
@Consumes(MediaType.APPLICATION_JSON)
@RunOnVirtualThread
public final class MessagesResource {
    static final String PATH = "/v1/messages";

    private final DirectCalls calls;
    private final TokenCounts counts;
    private final Settings settings;

    public MessagesResource(DirectCalls calls, TokenCounts counts, Settings settings) {
        this.calls = calls;
        this.counts = counts;
        this.settings = settings;
    }

    /** @param beta has no effect; Anthropic's clients send it for features in their test phase */
    @POST
    public Response answer(@QueryParam("beta") @Nullable String beta, byte[] document, @Context RoutingContext call)
            throws InterruptedException {
        ObjectNode chat = parsed(document, MessagesRequest.Purpose.ANSWER);
        return calls.answer(call, chat, new AnthropicFormat());
    }

    /** Counts the tokens of the prompt. */
    @POST
    @Path("/count_tokens")
    @Produces(MediaType.APPLICATION_JSON)
    public ObjectNode count(@QueryParam("beta") @Nullable String beta, byte[] document, @Context RoutingContext call)
            throws InterruptedException {
        ObjectNode chat = parsed(document, MessagesRequest.Purpose.COUNT);
        return Json.mapper()
                .createObjectNode()
                .put("input_tokens", counts.of(chat, call.request().headers()::getAll));
    }

    private ObjectNode parsed(byte[] document, MessagesRequest.Purpose purpose) {
        return switch (MessagesRequest.parse(
                document, purpose, settings.permissions().hosts())) {
            case MessagesRequest.Parsed.Refused(JobFailure failure) -> throw new ApiException(failure);
            case MessagesRequest.Parsed.Valid(ObjectNode chat) -> chat;
        };
    }
}
