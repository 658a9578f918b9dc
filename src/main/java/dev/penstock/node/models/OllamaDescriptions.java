package dev.penstock.node.models;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.node.http.NodeClient;
import dev.penstock.wire.Json;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpMethod;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Asks an Ollama server to describe its models (observed with 0.33.0). The documents are Ollama's own. A server that does
 * not answer in time describes nothing. Thread-safe.
 */
public final class OllamaDescriptions {
    private static final Duration PATIENCE = Duration.ofSeconds(2);

    private final NodeClient client;

    OllamaDescriptions(NodeClient client) {
        this.client = client;
    }

    /** Returns the models that the server has, as in /api/tags. */
    public List<ObjectNode> listed() throws InterruptedException {
        return entries("/api/tags");
    }

    /** Returns the models in the server's memory, as in /api/ps. */
    public List<ObjectNode> inMemory() throws InterruptedException {
        return entries("/api/ps");
    }

    /**
     * Returns a model as in /api/show, without its Modelfile, because the Modelfile has the paths of the server's files.
     */
    public Optional<ObjectNode> shown(String model, boolean verbose) throws InterruptedException {
        Buffer question = Buffer.buffer(Json.bytes(Map.of("model", model, "verbose", verbose)));
        try {
            if (client.call(HttpMethod.POST, "/api/show", question, PATIENCE).json() instanceof ObjectNode shown) {
                shown.remove("modelfile");
                return Optional.of(shown);
            }
            return Optional.empty();
        } catch (NodeClient.Unreachable _) {
            return Optional.empty();
        }
    }

    private List<ObjectNode> entries(String path) throws InterruptedException {
        List<ObjectNode> entries = new ArrayList<>();
        try {
            JsonNode answer = client.get(path, PATIENCE).json();
            if (answer != null) {
                answer.path("models").forEach(entry -> {
                    if (entry instanceof ObjectNode object) {
                        entries.add(object);
                    }
                });
            }
        } catch (NodeClient.Unreachable _) {
            return List.of();
        }
        return entries;
    }
}
