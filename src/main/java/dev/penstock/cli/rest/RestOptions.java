package dev.penstock.cli.rest;

import dev.penstock.cli.job.Problem;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** The command-line options for the service's REST API. */
public final class RestOptions {
    public static final String DEFAULT_URL = "http://localhost:8080";

    private static final String URL_VARIABLE = "PENSTOCK_URL";
    private static final String KEY_VARIABLE = "PENSTOCK_API_KEY";

    @Option(
            names = "--url",
            paramLabel = "URL",
            description = "the service; default: the environment's " + URL_VARIABLE + ", else " + DEFAULT_URL)
    private @Nullable String url;

    @Option(
            names = "--api-key",
            paramLabel = "KEY",
            description = "key for the service; it can be read in the list of processes: rather use "
                    + "--api-key-file or the environment's " + KEY_VARIABLE)
    private @Nullable String apiKey;

    @Option(
            names = "--api-key-file",
            paramLabel = "FILE",
            description =
                    "file with the key, one line; default: the environment's " + KEY_VARIABLE + ", else none is sent")
    private @Nullable Path apiKeyFile;

    /** Returns whether the command line has {@code --url}; the environment does not count. */
    public boolean isGiven() {
        return url != null;
    }

    public Rest open() throws Problem {
        return open(DEFAULT_URL);
    }

    /** @param usual the URL to use if neither an option nor a variable sets one */
    public Rest open(String usual) throws Problem {
        String key = key(apiKey, apiKeyFile, System.getenv(KEY_VARIABLE));
        String fromEnvironment = System.getenv(URL_VARIABLE);
        if (url != null) {
            return new Rest(base("--url", url), key);
        }
        return fromEnvironment == null || fromEnvironment.isBlank()
                ? new Rest(usual, key)
                : new Rest(base(URL_VARIABLE, fromEnvironment), key);
    }

    /**
     * Returns the key from the option, a file or the environment. No message shows the key.
     *
     * @return null to send no key
     */
    static @Nullable String key(@Nullable String option, @Nullable Path file, @Nullable String environment)
            throws Problem {
        if (option != null && file != null) {
            throw Problem.usage("--api-key and --api-key-file: one or the other");
        }
        String source = option != null ? "--api-key" : file != null ? "--api-key-file" : KEY_VARIABLE;
        String given = option != null ? option : file != null ? content(file) : environment;
        String key = given == null ? "" : given.strip();
        if (!key.chars().allMatch(character -> character > ' ' && character < 0x7F)) {
            throw Problem.usage(source + ": a key is one word of visible characters");
        }
        if (key.isEmpty() && file != null) {
            throw Problem.usage("--api-key-file: %s is empty".formatted(file));
        }
        return key.isEmpty() ? null : key;
    }

    private static String content(Path file) throws Problem {
        try {
            return Files.readString(file);
        } catch (IOException _) {
            throw Problem.usage("--api-key-file: %s cannot be read".formatted(file));
        }
    }

    /**
     * Returns a URL without /v1. It accepts URLs with and without /v1.
     *
     * @param source the option or the variable with this URL, for the error message
     */
    public static String base(String source, String url) throws Problem {
        String trimmed = url.strip().replaceFirst("/+$", "").replaceFirst("/v1$", "");
        try {
            URI uri = URI.create(trimmed);
            boolean http = "http".equals(uri.getScheme()) || "https".equals(uri.getScheme());
            if (http && uri.getHost() != null && uri.getQuery() == null && uri.getFragment() == null) {
                return trimmed;
            }
        } catch (IllegalArgumentException _) {
            // the code below reports this mistake
        }
        throw Problem.usage("%s: '%s' is no URL such as %s".formatted(source, url, DEFAULT_URL));
    }
}
