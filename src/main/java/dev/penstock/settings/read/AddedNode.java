package dev.penstock.settings.read;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.settings.NodeSettings;
import dev.penstock.settings.Secrets;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A node that was added at run time, with the same keys as a configured node. It is read and checked like a configured
 * node, with two differences: it starts no process, and it has a reference to its API key instead of the key.
 */
public sealed interface AddedNode {

    /** @param lacking one sentence for each secret that this replica cannot find; the node is added anyway */
    record Fit(NodeSettings node, List<String> lacking) implements AddedNode {
        public Fit {
            lacking = List.copyOf(lacking);
        }
    }

    record Unfit(List<String> mistakes) implements AddedNode {
        public Unfit {
            mistakes = List.copyOf(mistakes);
        }
    }

    /**
     * The sources of the nodes' API keys.
     *
     * @param environment the environment's variables
     * @param boundTo for each reference, the address that it belongs to
     */
    record Keys(Secrets secrets, Map<String, String> environment, Map<String, String> boundTo) {
        /** No keys. */
        public static final Keys NONE = new Keys(Secrets.DEFAULTS, Map.of(), Map.of());

        public Keys {
            environment = Map.copyOf(environment);
            boundTo = Map.copyOf(boundTo);
        }
    }

    /** Reads a node. It takes nothing from the environment except the key behind the node's reference. */
    static AddedNode read(String name, JsonNode document, Keys keys) {
        return new AddedNodeReader(name, keys).read(document);
    }

    /** Returns the reference to the node's key; null if it has none. */
    static @Nullable String reference(JsonNode document) {
        return document.path("api-key").textValue();
    }
}
