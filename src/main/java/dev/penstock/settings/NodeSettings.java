package dev.penstock.settings;

import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;

/**
 * One model server, as configured or found.
 *
 * @param url scheme, host and port, and a path where the server has one; never ends with a slash or {@code /v1}
 * @param maxInFlight requests at once; empty: the server's own number, else the backend's default
 * @param model the only model to use; null: what the server lists
 * @param requests what is sent to it, and how long it may take
 * @param fetchesMissing whether it fetches a model that a job names and no node has
 * @param program what Penstock starts itself; null: the server is somebody else's to start
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
        Requests requests,
        boolean fetchesMissing,
        @Nullable Program program) {

    /**
     * A program of llama.cpp that Penstock starts: a server that it keeps running, or one for each request.
     *
     * @param command its file, or its name on the PATH
     * @param modelPath a model's file, or a folder of them
     * @param gpuLayers a number, auto or all
     * @param mmproj the projector of a model that takes images
     * @param arguments further ones, as they are
     */
    public record Program(
            String command,
            Path modelPath,
            OptionalInt ctxSize,
            OptionalInt batchSize,
            OptionalInt ubatchSize,
            Optional<String> gpuLayers,
            Optional<Path> mmproj,
            List<String> arguments) {
        public Program {
            arguments = List.copyOf(arguments);
        }

        /** Where nothing but the model is said. */
        public static Program of(String command, Path modelPath, String... arguments) {
            return new Program(
                    command,
                    modelPath,
                    OptionalInt.empty(),
                    OptionalInt.empty(),
                    OptionalInt.empty(),
                    Optional.empty(),
                    Optional.empty(),
                    List.of(arguments));
        }
    }

    /**
     * How requests to one node differ from those to others.
     *
     * @param parameters where the job says nothing; over the service's own
     * @param extraBody added to each request, over whatever the job says
     * @param embeddingBatch inputs in one request; empty: the backend's default
     * @param apiVersion of Azure OpenAI; null: the one that Penstock was written against
     */
    public record Requests(
            Map<String, Object> parameters,
            Map<String, Object> extraBody,
            OptionalInt embeddingBatch,
            @Nullable String apiVersion,
            OwnTimeouts timeouts) {
        public static final Requests PLAIN =
                new Requests(Map.of(), Map.of(), OptionalInt.empty(), null, OwnTimeouts.NONE);

        public Requests {
            parameters = Map.copyOf(parameters);
            extraBody = Map.copyOf(extraBody);
        }
    }

    /** A node's own timeouts; empty: the service's. */
    public record OwnTimeouts(Optional<Duration> connect, Optional<Duration> firstToken, Optional<Duration> idle) {
        public static final OwnTimeouts NONE = new OwnTimeouts(Optional.empty(), Optional.empty(), Optional.empty());

        public Settings.Timeouts over(Settings.Timeouts service) {
            return new Settings.Timeouts(
                    connect.orElse(service.connect()),
                    firstToken.orElse(service.firstToken()),
                    idle.orElse(service.idle()));
        }
    }

    public NodeSettings {
        headers = Map.copyOf(headers);
    }

    public NodeSettings(
            String name,
            Backend backend,
            URI url,
            String pool,
            OptionalInt maxInFlight,
            @Nullable String model,
            @Nullable String apiKey,
            Map<String, String> headers) {
        this(name, backend, url, pool, maxInFlight, model, apiKey, headers, Requests.PLAIN, false);
    }

    /** A server that somebody else starts. */
    public NodeSettings(
            String name,
            Backend backend,
            URI url,
            String pool,
            OptionalInt maxInFlight,
            @Nullable String model,
            @Nullable String apiKey,
            Map<String, String> headers,
            Requests requests,
            boolean fetchesMissing) {
        this(name, backend, url, pool, maxInFlight, model, apiKey, headers, requests, fetchesMissing, null);
    }

    /** One that Penstock starts. */
    public static NodeSettings started(String name, Backend backend, Program program) {
        return new NodeSettings(
                name,
                backend,
                program.modelPath().toUri(),
                backend.defaultPool(),
                OptionalInt.empty(),
                null,
                null,
                Map.of(),
                Requests.PLAIN,
                false,
                program);
    }

    /** The same at another address, with a key of its own. */
    public NodeSettings listeningAt(URI address, String key) {
        return new NodeSettings(
                name, backend, address, pool, maxInFlight, model, key, headers, requests, fetchesMissing, program);
    }

    /** A server that the environment or a probe of localhost names by its address alone. */
    public static NodeSettings at(Backend backend, URI url) {
        return at(backend, url, null, null);
    }

    /** A server that the environment names, with what else it says. */
    static NodeSettings at(Backend backend, URI url, @Nullable String model, @Nullable String apiKey) {
        return new NodeSettings(
                backend.wireName(),
                backend,
                url,
                backend.defaultPool(),
                OptionalInt.empty(),
                model,
                apiKey,
                Map.of(),
                Requests.PLAIN,
                false);
    }

    /** The same with that key; null: without one. */
    NodeSettings with(@Nullable String key) {
        return new NodeSettings(
                name, backend, url, pool, maxInFlight, model, key, headers, requests, fetchesMissing, program);
    }

    NodeSettings with(Requests other) {
        return new NodeSettings(
                name, backend, url, pool, maxInFlight, model, apiKey, headers, other, fetchesMissing, program);
    }

    /** What its users know it by; never the key. */
    public String title() {
        return (name.equals(backend.wireName()) ? "" : "node '" + name + "': ") + backend.wireName() + where();
    }

    /** Never shows the key. */
    @Override
    public String toString() {
        return name + " (" + backend.wireName() + where() + ", pool " + pool + ")";
    }

    private String where() {
        return program == null ? " at " + url : " with " + program.modelPath();
    }
}
