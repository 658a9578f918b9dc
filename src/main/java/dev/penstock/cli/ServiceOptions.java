package dev.penstock.cli;

import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Where the service's REST API is, for a command whose {@code --url} is another one. */
final class ServiceOptions {
    @Option(
            names = "--service",
            paramLabel = "URL",
            defaultValue = RestOptions.DEFAULT_URL,
            description = "the service; default ${DEFAULT-VALUE}")
    private String url = RestOptions.DEFAULT_URL;

    @Option(
            names = "--service-key",
            paramLabel = "KEY",
            defaultValue = "${env:PENSTOCK_API_KEY}",
            description = "key for the service; default: the environment's PENSTOCK_API_KEY, else none is sent")
    private @Nullable String apiKey;

    Rest open() throws Problem {
        return RestOptions.open(url, apiKey);
    }
}
