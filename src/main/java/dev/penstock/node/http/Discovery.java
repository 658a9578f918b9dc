package dev.penstock.node.http;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.settings.Backend;
import dev.penstock.settings.NodeSettings;
import io.vertx.core.Vertx;
import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Looks for model servers on localhost, at their default ports. */
public final class Discovery {
    private static final Duration PATIENCE = Duration.ofSeconds(1);

    private final Vertx vertx;
    private final int ownPort;

    /** @param ownPort Penstock's own port, which it skips */
    public Discovery(Vertx vertx, int ownPort) {
        this.vertx = vertx;
        this.ownPort = ownPort;
    }

    /** Returns every server that answers, at most one of each kind. */
    public List<NodeSettings> look() throws InterruptedException {
        Map<Backend, NodeSettings> found = new LinkedHashMap<>();
        for (int port : new int[] {11434, 8000, 1234, 8081, 8080}) {
            if (port != ownPort) {
                at(port).ifPresent(node -> found.putIfAbsent(node.backend(), node));
            }
        }
        return new ArrayList<>(found.values());
    }

    private Optional<NodeSettings> at(int port) throws InterruptedException {
        NodeSettings guess = NodeSettings.at(Backend.OPENAI_COMPATIBLE, URI.create("http://127.0.0.1:" + port));
        try (NodeClient client = new NodeClient(guess, vertx, PATIENCE)) {
            return backend(client, port).map(backend -> NodeSettings.at(backend, guess.url()));
        }
    }

    private static Optional<Backend> backend(NodeClient client, int port) throws InterruptedException {
        try {
            return switch (port) {
                case 11434 ->
                    hasField(client, "/api/version", "version") ? Optional.of(Backend.OLLAMA) : Optional.empty();
                case 8000 ->
                    hasField(client, "/version", "version")
                            ? Optional.of(Backend.VLLM)
                            : hasField(client, "/v1/models", "data")
                                    ? Optional.of(Backend.OPENAI_COMPATIBLE)
                                    : Optional.empty();
                case 1234 -> hasField(client, "/v1/models", "data") ? Optional.of(Backend.LM_STUDIO) : Optional.empty();
                // also checks models_autoload, because a router has no slots of its own
                default ->
                    hasField(client, "/props", "total_slots") || hasField(client, "/props", "models_autoload")
                            ? Optional.of(Backend.LLAMA_SERVER)
                            : Optional.empty();
            };
        } catch (NodeClient.Unreachable _) {
            return Optional.empty();
        }
    }

    private static boolean hasField(NodeClient client, String path, String field)
            throws NodeClient.Unreachable, InterruptedException {
        JsonNode json = client.get(path, PATIENCE).json();
        return json != null && json.has(field);
    }
}
