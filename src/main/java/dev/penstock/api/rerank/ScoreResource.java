package dev.penstock.api.rerank;

import dev.penstock.api.call.ApiException;
import dev.penstock.api.direct.DirectCalls;
import dev.penstock.api.direct.TaskBody;
import dev.penstock.job.Task;
import dev.penstock.wire.InvalidField;
import io.smallrye.common.annotation.RunOnVirtualThread;
import io.vertx.ext.web.RoutingContext;
import jakarta.ws.rs.Consumes;
import jakarta.ws.rs.POST;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.Produces;
import jakarta.ws.rs.core.Context;
import jakarta.ws.rs.core.MediaType;
import jakarta.ws.rs.core.Response;

/** Compares pairs of texts. */
@Path("/v1/score")
@RunOnVirtualThread
public final class ScoreResource {
    private final DirectCalls calls;

    public ScoreResource(DirectCalls calls) {
        this.calls = calls;
    }

    /** @param document the body of a score job */
    @POST
    @Consumes(MediaType.APPLICATION_JSON)
    @Produces(MediaType.WILDCARD)
    public Response score(byte[] document, @Context RoutingContext call) throws InterruptedException {
        try {
            return calls.answer(call, TaskBody.of(document, Task.SCORE), new ScoreFormat());
        } catch (InvalidField e) {
            throw new ApiException(e.failure());
        }
    }
}
