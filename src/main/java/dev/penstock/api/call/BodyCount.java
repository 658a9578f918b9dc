package dev.penstock.api.call;

import io.vertx.ext.web.RoutingContext;
import jakarta.inject.Singleton;
import jakarta.ws.rs.container.ContainerRequestContext;
import java.util.Set;
import org.jboss.resteasy.reactive.server.ServerRequestFilter;

/**
 * Counts the bytes of each body while a resource reads it. Quarkus creates this bean before it reads the configuration,
 * so the bean has no dependencies.
 */
@Singleton
final class BodyCount {
    private static final Set<String> WITHOUT_BODY = Set.of("GET", "HEAD");

    @ServerRequestFilter
    void count(ContainerRequestContext call, RoutingContext routing) {
        if (!WITHOUT_BODY.contains(call.getMethod())) {
            call.setEntityStream(BodyBudget.counted(routing, call.getEntityStream()));
        }
    }
}
