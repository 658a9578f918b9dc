package dev.penstock.api.vision;

import dev.penstock.api.call.ApiException;
import dev.penstock.api.direct.DirectCalls;
import dev.penstock.job.Task;
import dev.penstock.wire.InvalidField;
import io.vertx.ext.web.RoutingContext;
import jakarta.inject.Singleton;
import jakarta.ws.rs.core.Response;

/** Answers calls with images. */
@Singleton
final class ImageCalls {
    private final DirectCalls calls;

    ImageCalls(DirectCalls calls) {
        this.calls = calls;
    }

    /** @param document a JSON object */
    Response answer(Task task, byte[] document, RoutingContext call) throws InterruptedException {
        try {
            return answer(ImageRequest.ofJson(document, task), call);
        } catch (InvalidField e) {
            throw new ApiException(e.failure());
        }
    }

    /**
     * @param form the body of a form with files
     * @param type the call's content type, with the form's boundary
     */
    Response answer(Task task, byte[] form, String type, RoutingContext call) throws InterruptedException {
        try {
            return answer(ImageRequest.ofForm(form, type, task), call);
        } catch (InvalidField e) {
            throw new ApiException(e.failure());
        }
    }

    private Response answer(ImageRequest request, RoutingContext call) throws InterruptedException {
        SeenFormat format = new SeenFormat(request);
        return format.withNode(calls.answer(call, request.body(), format));
    }
}
