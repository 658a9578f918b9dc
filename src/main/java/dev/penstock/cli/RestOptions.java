package dev.penstock.cli;

import java.net.URI;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Where the service's REST API is. */
final class RestOptions {
    static final String DEFAULT_URL = "http://localhost:8080";

    @Option(names = "--url", paramLabel = "URL", description = "the service; default " + DEFAULT_URL)
    private @Nullable String url;

    @Option(
            names = "--api-key",
            paramLabel = "KEY",
            defaultValue = "${env:PENSTOCK_API_KEY}",
            description = "key for the service; default: the environment's PENSTOCK_API_KEY, else none is sent")
    private @Nullable String apiKey;

    boolean isGiven() {
        return url != null;
    }

    Rest open() throws Problem {
        return open(url == null ? DEFAULT_URL : url, apiKey);
    }

    static Rest open(String url, @Nullable String apiKey) throws Problem {
        return new Rest(base(url), apiKey == null || apiKey.isBlank() ? null : apiKey);
    }

    /** A URL with or without /v1 is understood. */
    static String base(String url) throws Problem {
        String trimmed = url.strip().replaceFirst("/+$", "").replaceFirst("/v1$", "");
        try {
            URI uri = URI.create(trimmed);
            boolean http = "http".equals(uri.getScheme()) || "https".equals(uri.getScheme());
            if (http && uri.getHost() != null && uri.getQuery() == null && uri.getFragment() == null) {
                return trimmed;
            }
        } catch (IllegalArgumentException _) {
            // told below
        }
        throw Problem.usage("--url: '%s' is no URL such as %s".formatted(url, DEFAULT_URL));
    }
}
