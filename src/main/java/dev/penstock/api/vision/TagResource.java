package dev.penstock.api.vision;

import dev.penstock.job.Task;
import io.smallrye.common.annotation.RunOnVirtualThread;
import io.vertx.ext.web.RoutingContext;
import jakarta.ws.rs.Consumes;
import jakarta.ws.rs.HeaderParam;
import jakarta.ws.rs.POST;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.Produces;
import jakarta.ws.rs.core.Context;
import jakarta.ws.rs.core.MediaType;
import jakarta.ws.rs.core.Response;

/** Names what images show, as short tags. */
@Path("/v1/tag")
@Produces(MediaType.WILDCARD)
@RunOnVirtualThread
public final class TagResource {
    private final ImageCalls calls;

    public TagResource(ImageCalls calls) {
        this.calls = calls;
    }

    @POST
    @Consumes(MediaType.APPLICATION_JSON)
    public Response ofJson(byte[] document, @Context RoutingContext call) throws InterruptedException {
        return calls.answer(Task.TAG, document, call);
    }

    @POST
    @Consumes(MediaType.MULTIPART_FORM_DATA)
    public Response ofForm(byte[] form, @HeaderParam("Content-Type") String type, @Context RoutingContext call)
            throws InterruptedException {
        return calls.answer(Task.TAG, form, type, call);
    }
}
