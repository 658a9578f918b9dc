package dev.penstock.cli;

import java.net.URI;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Where the service's REST API is. */
final class RestOptions {
    static final String DEFAULT_URL = "http://localhost:8080";

    private static final String URL_VARIABLE = "PENSTOCK_URL";

    @Option(
            names = "--url",
            paramLabel = "URL",
            description = "the service; default: the environment's " + URL_VARIABLE + ", else " + DEFAULT_URL)
    private @Nullable String url;

    @Option(
            names = "--api-key",
            paramLabel = "KEY",
            defaultValue = "${env:PENSTOCK_API_KEY}",
            description = "key for the service; default: the environment's PENSTOCK_API_KEY, else none is sent")
    private @Nullable String apiKey;

    /** Whether the command line has {@code --url}; the environment does not count. */
    boolean isGiven() {
        return url != null;
    }

    Rest open() throws Problem {
        String key = apiKey == null || apiKey.isBlank() ? null : apiKey;
        String fromEnvironment = System.getenv(URL_VARIABLE);
        if (url != null) {
            return new Rest(base("--url", url), key);
        }
        return fromEnvironment == null || fromEnvironment.isBlank()
                ? new Rest(DEFAULT_URL, key)
                : new Rest(base(URL_VARIABLE, fromEnvironment), key);
    }

    /**
     * A URL with or without /v1 is understood.
     *
     * @param source the option or the variable, for the message
     */
    static String base(String source, String url) throws Problem {
        String trimmed = url.strip().replaceFirst("/+$", "").replaceFirst("/v1$", "");
        try {
            URI uri = URI.create(trimmed);
            boolean http = "http".equals(uri.getScheme()) || "https".equals(uri.getScheme());
            if (http && uri.getHost() != null && uri.getQuery() == null && uri.getFragment() == null) {
                return trimmed;
            }
        } catch (IllegalArgumentException _) {
            // reported below
        }
        throw Problem.usage("%s: '%s' is no URL such as %s".formatted(source, url, DEFAULT_URL));
    }
}
