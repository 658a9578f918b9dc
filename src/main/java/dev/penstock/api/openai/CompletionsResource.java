package dev.penstock.api.openai;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.api.call.ApiException;
import dev.penstock.api.direct.DirectCalls;
import dev.penstock.job.JobFailure;
import dev.penstock.wire.Json;
import io.smallrye.common.annotation.RunOnVirtualThread;
import io.vertx.ext.web.RoutingContext;
import jakarta.ws.rs.Consumes;
import jakarta.ws.rs.POST;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.Produces;
import jakarta.ws.rs.core.Context;
import jakarta.ws.rs.core.MediaType;
import jakarta.ws.rs.core.Response;

/** Answers OpenAI's chat completions, completions and embeddings. */
@Path("/v1")
@Consumes(MediaType.APPLICATION_JSON)
// a client of OpenAI accepts JSON only, whatever it asks for
@Produces(MediaType.WILDCARD)
@RunOnVirtualThread
public final class CompletionsResource {
    private final DirectCalls calls;

    public CompletionsResource(DirectCalls calls) {
        this.calls = calls;
    }

    @POST
    @Path("/chat/completions")
    public Response chat(byte[] document, @Context RoutingContext call) throws InterruptedException {
        return answer(document, "messages", call);
    }

    @POST
    @Path("/completions")
    public Response completions(byte[] document, @Context RoutingContext call) throws InterruptedException {
        return answer(document, "prompt", call);
    }

    @POST
    @Path("/embeddings")
    public Response embeddings(byte[] document, @Context RoutingContext call) throws InterruptedException {
        return answer(document, "input", call);
    }

    /** @param content the field that the request of this path must have */
    private Response answer(byte[] document, String content, RoutingContext call) throws InterruptedException {
        ObjectNode body = body(document);
        if (!body.hasNonNull(content)) {
            throw new ApiException(JobFailure.invalid(content, "is needed on this path"));
        }
        boolean includesUsage =
                body.path("stream_options").path("include_usage").asBoolean();
        return calls.answer(call, body, new OpenAiFormat(includesUsage));
    }

    private static ObjectNode body(byte[] document) {
        try {
            if (Json.parseStrict(document) instanceof ObjectNode body) {
                return body;
            }
        } catch (Json.MalformedJson e) {
            throw new ApiException(e.failure());
        }
        throw new ApiException(JobFailure.of(JobFailure.Code.INVALID_REQUEST, "expected a JSON object"));
    }
}
