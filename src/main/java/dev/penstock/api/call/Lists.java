package dev.penstock.api.call;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.wire.Json;

/** The shape of every list. */
public final class Lists {
    private Lists() {}

    /** A list that is whole. */
    public static ObjectNode of(ArrayNode data) {
        ObjectNode list = Json.mapper().createObjectNode().put("object", "list");
        list.set("data", data);
        return list.putNull("next");
    }
}
