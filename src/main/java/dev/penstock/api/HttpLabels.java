package dev.penstock.api;

import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.Tag;
import io.micrometer.core.instrument.config.MeterFilter;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Limits the number of labels in the metrics about HTTP calls. The label of a path is its template in the API's
 * description. All paths without a template share one label, and so do all methods that HTTP does not define.
 */
final class HttpLabels implements MeterFilter {
    private static final String NAMES = "http.server";
    private static final String OTHER = "OTHER";
    private static final String VARIABLE = "\\{[^}]*\\}";
    private static final Set<String> METHODS =
            Set.of("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "UNKNOWN");

    /** The labels that Micrometer and Quarkus use instead of a path. */
    private static final List<String> NO_PATHS = List.of("NOT_FOUND", "REDIRECTION", "root", "UNKNOWN");

    private static final List<String> PAGES = List.of("/q/openapi", "/q/swagger-ui");

    private final Map<String, String> paths = new HashMap<>();

    /** @param paths the path templates in the API's description */
    HttpLabels(Collection<String> paths) {
        NO_PATHS.forEach(none -> this.paths.put(none, none));
        PAGES.forEach(page -> this.paths.put(page, page));
        paths.forEach(path -> this.paths.put(shape(path), path));
    }

    private static String shape(String path) {
        return path.replaceAll(VARIABLE, "{}");
    }

    @Override
    public Meter.Id map(Meter.Id id) {
        if (!id.getName().startsWith(NAMES)) {
            return id;
        }
        return id.replaceTags(id.getTags().stream().map(this::bounded).toList());
    }

    private Tag bounded(Tag tag) {
        return switch (tag.getKey()) {
            case "uri" -> Tag.of("uri", path(tag.getValue()));
            case "method" -> METHODS.contains(tag.getValue()) ? tag : Tag.of("method", OTHER);
            default -> tag;
        };
    }

    private String path(String given) {
        String known = paths.get(shape(given));
        if (known != null) {
            return known;
        }
        return PAGES.stream()
                .filter(page -> given.startsWith(page + "/"))
                .findFirst()
                .orElse(OTHER);
    }
}
