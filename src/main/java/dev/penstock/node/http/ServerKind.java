package dev.penstock.node.http;

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

/**
 * Detects the kind of a server by its answers. If a node's backend does not fit its server, the server gets requests in
 * the wrong form.
 */
final class ServerKind {
    /** The kind of server that sends each value of owned_by in its list of models. */
    private static final Map<String, Backend> OWNERS = Map.of(
            "vllm", Backend.VLLM,
            "llamacpp", Backend.LLAMA_SERVER,
            "library", Backend.OLLAMA,
            "organization_owner", Backend.LM_STUDIO);

    private ServerKind() {}

    /** Returns the kind of the server that sent this list of models; empty if the list does not reveal it. */
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

    /** Finds out the kind of a server, if it has no list of models at the path that the node's backend uses. */
    static Optional<Backend> ask(Probe.Server client, Duration patience)
            throws NodeClient.Unreachable, InterruptedException {
        if (answers(client, "/api/version", patience)) {
            return Optional.of(Backend.OLLAMA);
        }
        if (answers(client, "/version", patience)) {
            return Optional.of(Backend.VLLM);
        }
        return of(client.get("/v1/models", patience));
    }

    private static boolean answers(Probe.Server client, String path, Duration patience)
            throws NodeClient.Unreachable, InterruptedException {
        JsonNode json = client.get(path, patience).json();
        return json != null && json.path("version").isTextual();
    }

    /** Returns the warning for a node whose server is of another kind; null if the kind fits or is unknown. */
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
