package dev.penstock.settings;

import java.net.URI;
import java.util.Map;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;

/**
 * One model server, as configured or found.
 *
 * @param url scheme, host and port, and a path where the server has one; never ends with a slash or {@code /v1}
 * @param maxInFlight requests at once; empty: the server's own number, else the backend's default
 * @param model the only model to use; null: what the server lists
 * @param fetchesMissing whether it fetches a model that a job names and no node has
 */
public record NodeSettings(
        String name,
        Backend backend,
        URI url,
        String pool,
        OptionalInt maxInFlight,
        @Nullable String model,
        @Nullable String apiKey,
        Map<String, String> headers,
        boolean fetchesMissing) {

    public NodeSettings {
        headers = Map.copyOf(headers);
    }

    /** A server that the environment or a probe of localhost names by its address alone. */
    public static NodeSettings at(Backend backend, URI url) {
        return new NodeSettings(
                backend.wireName(),
                backend,
                url,
                backend.defaultPool(),
                OptionalInt.empty(),
                null,
                null,
                Map.of(),
                false);
    }

    /** Never shows the key. */
    @Override
    public String toString() {
        return name + " (" + backend.wireName() + " at " + url + ", pool " + pool + ")";
    }
}
