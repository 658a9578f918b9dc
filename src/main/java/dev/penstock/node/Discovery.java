package dev.penstock.node;

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

/** Looks for model servers on localhost, at the ports where they listen by default. */
final class Discovery {
    private static final Duration PATIENCE = Duration.ofSeconds(1);

    private final Vertx vertx;
    private final int ownPort;

    /** @param ownPort is left out */
    Discovery(Vertx vertx, int ownPort) {
        this.vertx = vertx;
        this.ownPort = ownPort;
    }

    /** Every server that answers, at most one of a kind. */
    List<NodeSettings> look() throws InterruptedException {
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
                case 11434 -> says(client, "/api/version", "version") ? Optional.of(Backend.OLLAMA) : Optional.empty();
                case 8000 ->
                    says(client, "/version", "version")
                            ? Optional.of(Backend.VLLM)
                            : says(client, "/v1/models", "data")
                                    ? Optional.of(Backend.OPENAI_COMPATIBLE)
                                    : Optional.empty();
                case 1234 -> says(client, "/v1/models", "data") ? Optional.of(Backend.LM_STUDIO) : Optional.empty();
                // a router has no slots of its own
                default ->
                    says(client, "/props", "total_slots") || says(client, "/props", "models_autoload")
                            ? Optional.of(Backend.LLAMA_SERVER)
                            : Optional.empty();
            };
        } catch (NodeClient.Unreachable _) {
            return Optional.empty();
        }
    }

    private static boolean says(NodeClient client, String path, String field)
            throws NodeClient.Unreachable, InterruptedException {
        JsonNode json = client.get(path, PATIENCE).json();
        return json != null && json.has(field);
    }
}
