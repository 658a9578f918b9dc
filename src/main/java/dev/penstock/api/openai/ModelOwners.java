package dev.penstock.api.openai;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.settings.Backend;
import dev.penstock.wire.Json;
import java.util.Set;
import java.util.TreeSet;

/** Collects the owners of one model name: its nodes, and their backends. Not thread-safe. */
final class ModelOwners {
    private final Set<String> backends = new TreeSet<>();
    private final Set<String> nodes = new TreeSet<>();
    private boolean profile;

    void profile() {
        profile = true;
    }

    void add(String node, Backend backend) {
        nodes.add(node);
        backends.add(backend.wireName());
    }

    /** Returns the model in OpenAI's format, with all its owners. A profile hides a model of the same name. */
    ObjectNode document(String id) {
        ObjectNode document = Json.mapper()
                .createObjectNode()
                .put("id", id)
                .put("object", "model")
                .put("created", 0)
                .put("owned_by", profile ? "profile" : String.join(", ", backends));
        if (!profile) {
            ArrayNode names = document.putArray("nodes");
            nodes.forEach(names::add);
        }
        return document;
    }
}
