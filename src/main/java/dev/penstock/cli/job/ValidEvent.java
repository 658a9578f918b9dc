package dev.penstock.cli.job;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.MissingNode;
import dev.penstock.job.EventMark;
import dev.penstock.wire.Json;
import java.util.ArrayList;
import java.util.List;

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

    /** Describes where an answer does not fit its job's schema, in a line for each place; empty for other failures. */
    public static List<String> violations(JsonNode error) {
        List<String> lines = new ArrayList<>();
        for (JsonNode violation : error.path("violations")) {
            String path = violation.path("path").asText("");
            lines.add("  %s: %s"
                    .formatted(
                            path.isEmpty() ? "the whole answer" : path,
                            violation.path("message").asText("")));
        }
        return lines;
    }

    public static String failure(JsonNode error) {
        String message = error.path("message").asText("no reason was given");
        String code = error.path("code").asText("");
        return code.isEmpty() ? message : "%s (%s)".formatted(message, code);
    }
}
