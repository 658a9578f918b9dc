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

/** Describes images. */
@Path("/v1/describe")
@Produces(MediaType.WILDCARD)
@RunOnVirtualThread
public final class DescribeResource {
    private final ImageCalls calls;

    public DescribeResource(ImageCalls calls) {
        this.calls = calls;
    }

    @POST
    @Consumes(MediaType.APPLICATION_JSON)
    public Response ofJson(byte[] document, @Context RoutingContext call) throws InterruptedException {
        return calls.answer(Task.DESCRIBE, document, call);
    }

    @POST
    @Consumes(MediaType.MULTIPART_FORM_DATA)
    public Response ofForm(byte[] form, @HeaderParam("Content-Type") String type, @Context RoutingContext call)
            throws InterruptedException {
        return calls.answer(Task.DESCRIBE, form, type, call);
    }
}
