package dev.penstock.api.anthropic;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.wire.InvalidField;

/**
 * The mark at a part of a prompt that Anthropic's servers keep in their cache up to this part. It stays at the
 * corresponding part of the chat.
 */
final class CacheMark {
    private static final String NAME = "cache_control";

    private CacheMark() {}

    /**
     * Copies the mark, if there is one.
     *
     * @param path the path of the part; empty for the request itself
     */
    static void copy(String path, JsonNode from, ObjectNode to) throws InvalidField {
        JsonNode mark = from.path(NAME);
        if (!MessagesRequest.isAbsent(mark)) {
            to.set(NAME, MessagesRequest.object(path.isEmpty() ? NAME : path + "." + NAME, mark));
        }
    }

    static boolean isAt(JsonNode part) {
        return part.has(NAME);
    }
}
