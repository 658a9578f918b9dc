package dev.penstock.settings;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A node that was added at run time, with the keys that the configuration has for it. It is read, and checked, as if a file
 * said it; but it starts no process here, and of a key it only says where that is.
 */
public sealed interface AddedNode {

    /** @param lacking what this replica cannot find of it; the node can be told of all the same */
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
     * Where its key is looked up.
     *
     * @param environment its variables
     * @param boundTo by reference, the place that it belongs to
     */
    record Keys(Secrets secrets, Map<String, String> environment, Map<String, String> boundTo) {
        /** There are none. */
        public static final Keys NONE = new Keys(Secrets.DEFAULTS, Map.of(), Map.of());

        public Keys {
            environment = Map.copyOf(environment);
            boundTo = Map.copyOf(boundTo);
        }
    }

    /** Reads one; what is in it is never looked up in the environment, but for the reference to its key. */
    static AddedNode read(String name, JsonNode document, Keys keys) {
        return new AddedNodeReader(name, keys).read(document);
    }

    /** The reference to its key; null: it has none. */
    static @Nullable String reference(JsonNode document) {
        return document.path("api-key").textValue();
    }
}
