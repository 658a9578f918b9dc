package dev.penstock.api.direct;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.vertx.ext.web.RoutingContext;
import jakarta.inject.Singleton;
import jakarta.ws.rs.core.Response;

/** Answers direct calls. */
@Singleton
public class DirectCalls {
    /**
     * Answers a call. Returns after the first piece of a streamed answer, or after the whole answer of another one, or
     * with an error in the format's own shape.
     *
     * @param body the request in OpenAI's shape; its {@code stream} decides whether the answer is streamed
     */
    public Response answer(RoutingContext call, ObjectNode body, AnswerFormat format) throws InterruptedException {
        throw new UnsupportedOperationException();
    }
}
