package dev.penstock.api.call;

import dev.penstock.job.JobFailure;
import dev.penstock.settings.Settings;
import io.quarkus.vertx.http.ManagementInterface;
import io.quarkus.vertx.http.runtime.filters.Filters;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.http.HttpVersion;
import io.vertx.ext.web.RoutingContext;
import jakarta.enterprise.event.Observes;
import jakarta.inject.Inject;
import jakarta.inject.Singleton;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.eclipse.microprofile.config.inject.ConfigProperty;

/**
 * Checks every call by {@link CallRules}, on the API's port and on the management port. The check comes before the body
 * is read and before a handler serves the call.
 */
@Singleton
final class CallGate {
    private static final int FIRST_OF_ALL = 2_000;

    private final CallRules api;
    private final CallRules management;

    @Inject
    CallGate(
            Settings settings,
            @ConfigProperty(name = "quarkus.http.host") String host,
            @ConfigProperty(name = "quarkus.management.host") String managementHost) {
        this(
                new CallRules(isLoopback(host), settings.access().allowedHosts()),
                // probes and scrapers call a pod by its address, so any Host is allowed unless the port listens on
                // loopback
                new CallRules(
                        isLoopback(managementHost),
                        isLoopback(managementHost) ? settings.access().allowedHosts() : Set.of()));
    }

    CallGate(CallRules api, CallRules management) {
        this.api = api;
        this.management = management;
    }

    private static boolean isLoopback(String host) {
        return Authority.of(host.contains(":") ? "[" + host + "]" : host)
                .filter(Authority::isLoopback)
                .isPresent();
    }

    void register(@Observes Filters filters) {
        filters.register(this::admit, FIRST_OF_ALL);
    }

    void register(@Observes ManagementInterface port) {
        port.router().route().order(-FIRST_OF_ALL).handler(call -> admit(call, management));
    }

    void admit(RoutingContext call) {
        admit(call, api);
    }

    private static void admit(RoutingContext call, CallRules rules) {
        Optional<JobFailure> refusal = rules.refusal(new Head(call.request()));
        if (refusal.isPresent()) {
            BodyBudget.refuse(call, refusal.get());
        } else {
            call.next();
        }
    }

    /** Reads the head of a Vert.x request. */
    private record Head(HttpServerRequest request) implements CallRules.Head {
        @Override
        public String method() {
            return request.method().name();
        }

        @Override
        public String path() {
            return String.valueOf(request.path());
        }

        @Override
        public boolean namesHost() {
            return request.version() != HttpVersion.HTTP_1_0;
        }

        @Override
        public List<String> hosts() {
            return request.version() == HttpVersion.HTTP_2 && request.authority() != null
                    ? List.of(request.authority().toString())
                    : values("Host");
        }

        @Override
        public List<String> values(String header) {
            return request.headers().getAll(header);
        }
    }
}
