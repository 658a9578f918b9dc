package dev.penstock.api;

import dev.penstock.api.call.ApiException;
import dev.penstock.job.JobFailure;
import dev.penstock.wire.Nearest;
import jakarta.inject.Singleton;
import jakarta.ws.rs.container.ContainerRequestContext;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;
import org.jboss.resteasy.reactive.server.ServerRequestFilter;
import org.jspecify.annotations.Nullable;

/** Refuses query parameters that the API description does not have. Otherwise a mistyped filter would be ignored. */
@Singleton
public final class QueryParameters {
    private static final String ANY_KEY = "KEY";

    private final OpenApiDocument description;
    private volatile @Nullable List<Operation> operations;

    private record Operation(String method, Pattern path, List<String> names) {}

    public QueryParameters(OpenApiDocument description) {
        this.description = description;
    }

    @ServerRequestFilter
    void check(ContainerRequestContext call) {
        Map<String, List<String>> given = call.getUriInfo().getQueryParameters();
        if (!given.isEmpty()) {
            unknown(call.getMethod(), call.getUriInfo().getRequestUri().getRawPath(), given)
                    .ifPresent(failure -> {
                        throw new ApiException(failure);
                    });
        }
    }

    /**
     * Returns the first mistake in the parameters of a call.
     *
     * @param path the path as the caller sent it, still encoded
     */
    Optional<JobFailure> unknown(String method, String path, Map<String, List<String>> given) {
        Optional<Operation> operation = operations().stream()
                .filter(known ->
                        known.method.equals(method) && known.path.matcher(path).matches())
                .findFirst();
        List<String> names = operation.map(Operation::names).orElse(List.of());
        for (Map.Entry<String, List<String>> parameter : given.entrySet()) {
            String name = shown(parameter.getKey());
            boolean known = names.stream().anyMatch(candidate -> isMeant(candidate, name));
            if (operation.isPresent() && !known) {
                return Optional.of(JobFailure.invalid(name, "is not a query parameter here. " + advice(name, names)));
            }
            if (known && parameter.getValue().size() > 1) {
                return Optional.of(JobFailure.invalid(name, "is given more than once"));
            }
        }
        return Optional.empty();
    }

    /** Shortens a name to at most 64 characters on one line, for a message. */
    private static String shown(String name) {
        String line = name.replaceAll("\\p{Cntrl}", "?");
        return line.length() > 64 ? line.substring(0, 64) + "…" : line;
    }

    private static boolean isMeant(String candidate, String name) {
        return candidate.endsWith("." + ANY_KEY)
                ? name.startsWith(candidate.substring(0, candidate.length() - ANY_KEY.length()))
                        && name.length() > candidate.length() - ANY_KEY.length()
                : candidate.equals(name);
    }

    private static String advice(String name, List<String> names) {
        return names.isEmpty()
                ? "This call has none"
                : "Did you mean %s? This call has: %s"
                        .formatted(Nearest.of(name, names).orElseThrow(), String.join(", ", names));
    }

    private List<Operation> operations() {
        List<Operation> known = operations;
        if (known == null) {
            known = description.queryParameters().entrySet().stream()
                    .map(entry -> {
                        String[] operation = entry.getKey().split(" ", 2);
                        return new Operation(operation[0], pattern(operation[1]), entry.getValue());
                    })
                    .toList();
            operations = known;
        }
        return known;
    }

    /**
     * Returns the pattern of a path template. A model's name may contain slashes; any other variable is one segment.
     */
    private static Pattern pattern(String template) {
        boolean ofModels = template.startsWith("/v1/models/");
        StringBuilder regex = new StringBuilder();
        for (String part : template.split("(?=\\{)|(?<=\\})", -1)) {
            regex.append(
                    part.equals("{model}") || (ofModels && part.startsWith("{"))
                            ? ".+"
                            : part.startsWith("{") ? "[^/]+" : Pattern.quote(part));
        }
        return Pattern.compile(regex + "/*");
    }
}
