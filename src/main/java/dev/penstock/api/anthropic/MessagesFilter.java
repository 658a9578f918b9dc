package dev.penstock.api.anthropic;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.api.call.ErrorForm;
import io.quarkus.vertx.http.runtime.filters.Filters;
import io.vertx.ext.web.RoutingContext;
import jakarta.enterprise.event.Observes;
import jakarta.inject.Singleton;
import jakarta.ws.rs.container.ContainerResponseContext;
import java.util.UUID;
import org.jboss.resteasy.reactive.server.ServerResponseFilter;

/**
 * Completes the answers of Anthropic's API. Each gets the header request-id. Errors that other parts of the service find
 * get Anthropic's form, such as the error for a body that is too large.
 */
@Singleton
public final class MessagesFilter {
    /** Before the checks of the head, because their errors need the form. */
    private static final int BEFORE_THE_CHECKS = 2_100;

    private static final String REQUEST_ID = "request-id";
    private static final String OWN_REQUEST_ID = "x-request-id";

    void register(@Observes Filters filters) {
        filters.register(MessagesFilter::mark, BEFORE_THE_CHECKS);
    }

    private static void mark(RoutingContext call) {
        if (isOfMessages(String.valueOf(call.request().path()))) {
            ErrorForm.set(call, AnthropicError::of);
        }
        call.next();
    }

    @ServerResponseFilter
    void complete(ContainerResponseContext answer, RoutingContext call) {
        if (!isOfMessages(String.valueOf(call.request().path()))) {
            return;
        }
        String known = answer.getHeaderString(OWN_REQUEST_ID);
        answer.getHeaders().putSingle(REQUEST_ID, known == null ? "req_" + UUID.randomUUID() : known);
        if (answer.getStatus() >= 400 && answer.getEntity() instanceof ObjectNode document) {
            answer.setEntity(inForm(answer.getStatus(), document));
        }
    }

    static boolean isOfMessages(String path) {
        return path.equals(MessagesResource.PATH) || path.startsWith(MessagesResource.PATH + "/");
    }

    /** Returns an error in Anthropic's form. An error that already has this form stays as it is. */
    static ObjectNode inForm(int status, ObjectNode document) {
        return document.has("type")
                ? document
                : AnthropicError.of(
                        status, document.path("error").path("message").asText());
    }
}
