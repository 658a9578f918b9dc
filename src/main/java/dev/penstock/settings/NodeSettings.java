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
 * One model server that was configured or found.
 *
 * @param url scheme, host and port, and a path if the server has one; never ends with a slash or {@code /v1}
 * @param maxInFlight the maximum number of requests at once; if empty, the server's own number applies, or else the
 *     backend's default
 * @param model the only model to use; null for all models that the server lists
 * @param requests the settings and timeouts of its requests
 * @param fetchesMissing whether the node fetches a model that a job names and no node has
 * @param program the program that Penstock starts; null if Penstock does not start the server
 * @param weight the node's part of the jobs that are balanced by weight; positive
 * @param limits further limits of its requests
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
        @Nullable Program program,
        int weight,
        Limits limits) {
    private static final int USUAL_WEIGHT = 1;

    /**
     * The further limits of the requests of a node. They hold for all replicas together.
     *
     * @param requestsPerMinute the maximum number of requests that begin in a minute; empty for no limit
     * @param tokensPerMinute the maximum number of tokens, of prompts and answers, in a minute; empty for no limit
     * @param minInFlight the smallest limit of requests at once, if the limit is adaptive
     * @param adaptive whether the limit of requests at once follows the time to the first token
     */
    public record Limits(
            OptionalInt requestsPerMinute, OptionalInt tokensPerMinute, int minInFlight, boolean adaptive) {
        public static final Limits NONE = new Limits(OptionalInt.empty(), OptionalInt.empty(), 1, false);
    }

    /**
     * A program of llama.cpp that Penstock starts: a server that it keeps running, or one process for each request.
     *
     * @param command the file of the program, or its name on the PATH
     * @param modelPath the file of a model, or a folder of models
     * @param gpuLayers a number, auto or all
     * @param mmproj the projector of a model that takes images
     * @param arguments further arguments, unchanged
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

        /** Returns a program with a model and defaults for the rest. */
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
     * The settings of the requests to one node.
     *
     * @param parameters parameters for jobs that do not set them; they override the service's parameters
     * @param extraBody fields of each request; they override the job's fields
     * @param embeddingBatch the maximum number of inputs in one request; empty for the backend's default
     * @param apiVersion the API version of Azure OpenAI; null for the version that Penstock was written for
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

    /**
     * The timeouts of one node or of one routing rule. If a timeout is empty, the service's timeout applies.
     *
     * @param queue the longest time that a direct call waits for a node; always empty for a node
     */
    public record OwnTimeouts(
            Optional<Duration> connect,
            Optional<Duration> firstToken,
            Optional<Duration> idle,
            Optional<Duration> queue) {
        public static final OwnTimeouts NONE =
                new OwnTimeouts(Optional.empty(), Optional.empty(), Optional.empty(), Optional.empty());

        public Settings.Timeouts over(Settings.Timeouts service) {
            return new Settings.Timeouts(
                    connect.orElse(service.connect()),
                    firstToken.orElse(service.firstToken()),
                    idle.orElse(service.idle()),
                    queue.orElse(service.queue()));
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

    /** Creates a server that Penstock does not start. */
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
        this(
                name,
                backend,
                url,
                pool,
                maxInFlight,
                model,
                apiKey,
                headers,
                requests,
                fetchesMissing,
                null,
                USUAL_WEIGHT,
                Limits.NONE);
    }

    /** Returns a node whose program Penstock starts. */
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
                program,
                USUAL_WEIGHT,
                Limits.NONE);
    }

    /** Returns the same node at another address, with its own key. */
    public NodeSettings listeningAt(URI address, String key) {
        return with(address, key, requests, limits);
    }

    /** Returns a server from the environment or from a probe of localhost, of which only the address is known. */
    public static NodeSettings at(Backend backend, URI url) {
        return at(backend, url, null, null);
    }

    /** Returns a server from the environment, with its model and key. */
    public static NodeSettings at(Backend backend, URI url, @Nullable String model, @Nullable String apiKey) {
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

    /** Returns the same node with this key; null for no key. */
    public NodeSettings with(@Nullable String key) {
        return with(url, key, requests, limits);
    }

    public NodeSettings with(Requests other) {
        return with(url, apiKey, other, limits);
    }

    public NodeSettings with(Limits other) {
        return with(url, apiKey, requests, other);
    }

    private NodeSettings with(URI address, @Nullable String key, Requests itsRequests, Limits itsLimits) {
        return new NodeSettings(
                name,
                backend,
                address,
                pool,
                maxInFlight,
                model,
                key,
                headers,
                itsRequests,
                fetchesMissing,
                program,
                weight,
                itsLimits);
    }

    /** Returns the name that users see; it never contains the key. */
    public String title() {
        return (name.equals(backend.wireName()) ? "" : "node '" + name + "': ") + backend.wireName() + where();
    }

    /** Returns the node's name, backend, address and pool, but never the key. */
    @Override
    public String toString() {
        return name + " (" + backend.wireName() + where() + ", pool " + pool + ")";
    }

    private String where() {
        return program == null ? " at " + url : " with " + program.modelPath();
    }
}
