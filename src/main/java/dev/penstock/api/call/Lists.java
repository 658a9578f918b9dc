package dev.penstock.api.call;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.wire.Json;

/** Creates the document of a list. All lists of the API have the same fields. */
public final class Lists {
    private Lists() {}

    /** Returns a list that has no next page. */
    public static ObjectNode of(ArrayNode data) {
        ObjectNode list = Json.mapper().createObjectNode().put("object", "list");
        list.set("data", data);
        return list.putNull("next");
    }
}
