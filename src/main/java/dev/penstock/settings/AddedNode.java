package dev.penstock.settings;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.List;
import java.util.Map;

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
     * Reads one; what is in it is never looked up in the environment, but for {@code env:NAME}.
     *
     * @param environment where that is looked up
     */
    static AddedNode read(String name, JsonNode document, Map<String, String> environment) {
        return new AddedNodeReader(name, environment).read(document);
    }
}
