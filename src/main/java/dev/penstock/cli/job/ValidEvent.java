package dev.penstock.cli.job;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.MissingNode;
import dev.penstock.job.EventMark;
import dev.penstock.wire.Json;

/**
 * An event that is valid by the reading rule.
 *
 * @param takesOver whether the event makes all lower attempts void
 * @param json the unchanged event, on one line
 */
public record ValidEvent(EventMark mark, boolean takesOver, String json) {

    public JsonNode document() {
        JsonNode document = Json.parseVectors(json);
        return document == null ? MissingNode.getInstance() : document;
    }

    /** Describes the failure in one line. */
    public String failure() {
        return failure(document().path("error"));
    }

    public static String failure(JsonNode error) {
        String message = error.path("message").asText("no reason was given");
        String code = error.path("code").asText("");
        return code.isEmpty() ? message : "%s (%s)".formatted(message, code);
    }
}
