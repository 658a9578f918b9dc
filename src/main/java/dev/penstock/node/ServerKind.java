package dev.penstock.node;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.settings.Backend;
import dev.penstock.settings.NodeSettings;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.StreamSupport;
import org.jspecify.annotations.Nullable;

/** What kind of server answers, by its own signs: a node with another backend gets requests in the wrong words. */
final class ServerKind {
    /** owned_by in the listing of each kind. */
    private static final Map<String, Backend> OWNERS = Map.of(
            "vllm", Backend.VLLM,
            "llamacpp", Backend.LLAMA_SERVER,
            "library", Backend.OLLAMA,
            "organization_owner", Backend.LM_STUDIO);

    private ServerKind() {}

    /** The kind of the server that sent this listing; empty where nothing tells it. */
    static Optional<Backend> of(NodeClient.Reply listed) {
        if (listed.server().startsWith("llama.cpp")) {
            return Optional.of(Backend.LLAMA_SERVER);
        }
        JsonNode json = listed.json();
        if (json == null) {
            return Optional.empty();
        }
        Set<String> owners = StreamSupport.stream(json.path("data").spliterator(), false)
                .map(model -> model.path("owned_by").asText())
                .collect(Collectors.toSet());
        return owners.size() == 1
                ? Optional.ofNullable(OWNERS.get(owners.iterator().next()))
                : Optional.empty();
    }

    /** Asks a server that does not know the path of its node's listing what it is. */
    static Optional<Backend> ask(Probe.Server client, Duration patience)
            throws NodeClient.Unreachable, InterruptedException {
        if (says(client, "/api/version", patience)) {
            return Optional.of(Backend.OLLAMA);
        }
        if (says(client, "/version", patience)) {
            return Optional.of(Backend.VLLM);
        }
        return of(client.get("/v1/models", patience));
    }

    private static boolean says(Probe.Server client, String path, Duration patience)
            throws NodeClient.Unreachable, InterruptedException {
        JsonNode json = client.get(path, patience).json();
        return json != null && json.path("version").isTextual();
    }

    /** The sentence that reports a node whose server is of another kind; null where it is of the node's own, or not known. */
    static @Nullable String mismatch(NodeSettings node, Optional<Backend> kind) {
        Backend backend = node.backend();
        if (kind.isEmpty() || kind.get() == backend || backend == Backend.OPENAI_COMPATIBLE) {
            return null;
        }
        return "%s: the server there is %s: set penstock.nodes.%s.backend to %s"
                .formatted(
                        node.title(),
                        kind.get().wireName(),
                        node.name(),
                        kind.get().wireName());
    }
}
