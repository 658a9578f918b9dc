package dev.penstock.api.ollama;

import dev.penstock.job.JobFailure;
import dev.penstock.settings.Settings;
import jakarta.inject.Inject;
import jakarta.inject.Provider;
import jakarta.inject.Singleton;
import jakarta.ws.rs.NotFoundException;
import jakarta.ws.rs.container.ContainerRequestContext;
import jakarta.ws.rs.core.Response;
import java.util.Optional;
import java.util.Set;
import java.util.function.BooleanSupplier;
import org.jboss.resteasy.reactive.server.ServerRequestFilter;

/**
 * Closes the paths of Ollama's API unless the configuration opens them. While they are open, a further path of Ollama's
 * API gets an error in Ollama's shape. The filter runs before a resource is chosen.
 */
@Singleton
public final class OllamaGate {
    static final String JSON = "application/json; charset=utf-8";

    private static final String API = "/api";
    private static final Set<String> SERVED = Set.of(
            "/api/chat",
            "/api/generate",
            "/api/embed",
            "/api/embeddings",
            "/api/tags",
            "/api/ps",
            "/api/show",
            "/api/version");

    private final BooleanSupplier isOpen;

    /** @param settings read at each call, because a filter exists before the configuration is read */
    @Inject
    public OllamaGate(Provider<Settings> settings) {
        this(() -> settings.get().compat().ollama());
    }

    OllamaGate(BooleanSupplier isOpen) {
        this.isOpen = isOpen;
    }

    @ServerRequestFilter(preMatching = true)
    public Optional<Response> refused(ContainerRequestContext call) {
        String path = call.getUriInfo().getRequestUri().getPath();
        if (isClosed(path)) {
            throw new NotFoundException();
        }
        return missing(path).map(OllamaGate::error);
    }

    /** Returns whether a path is one of Ollama's and the configuration does not open it. */
    boolean isClosed(String path) {
        return !isOpen.getAsBoolean() && (isOfApi(path) || bare(path).isEmpty());
    }

    /** Returns the failure for a path of Ollama's API that Penstock does not have; empty for any other path. */
    Optional<JobFailure> missing(String path) {
        return isOfApi(path) && !SERVED.contains(bare(path))
                ? Optional.of(JobFailure.of(
                        JobFailure.Code.NOT_FOUND,
                        "%s is not available in this version. /v1/nodes/{name}/models pulls and deletes models"
                                .formatted(bare(path))))
                : Optional.empty();
    }

    private static boolean isOfApi(String path) {
        return bare(path).equals(API) || bare(path).startsWith(API + "/");
    }

    /** Returns a path as the router reads it: without parameters of a segment, and without empty segments. */
    private static String bare(String path) {
        return path.replaceAll(";[^/]*", "").replaceAll("/{2,}", "/").replaceFirst("/$", "");
    }

    /** Returns an error in Ollama's shape. */
    static Response error(JobFailure failure) {
        int status = failure.code().httpStatus();
        Response.ResponseBuilder answer = Response.status(status).entity(OllamaFormat.errorBytes(failure));
        return (status == 503 || status == 429 ? answer.header("Retry-After", "2") : answer)
                .type(JSON)
                .build();
    }
}
