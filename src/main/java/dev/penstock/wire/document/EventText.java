package dev.penstock.wire.document;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.EventMark;
import dev.penstock.job.PublishedText;
import dev.penstock.wire.Json;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Optional;

/** Reads the text of an answer from the values of its events. */
public final class EventText {
    private EventText() {}

    /**
     * Adds an event to the text of its job. Outcomes have no effect.
     *
     * @param mark the mark of the event, which is valid by the reading rule
     */
    public static void add(EventMark mark, byte[] value, TextSoFar text) {
        switch (mark.kind()) {
            case STARTED -> {
                JsonNode job = parse(value).path("job");
                JsonNode from = job.path("resumed_from");
                text.started(
                        mark.attempt(),
                        job.path("node").asText(""),
                        job.path("model").asText(""),
                        from.isObject()
                                ? new PublishedText.Place(
                                        from.path("attempt").asInt(),
                                        from.path("seq").asLong())
                                : null);
            }
            case CHUNK -> text.chunk(new PublishedText.Place(mark.attempt(), mark.seq()), plainText(parse(value)));
            case COMPLETED, FAILED, CANCELLED, EXPIRED, REJECTED -> {}
        }
    }

    /**
     * Returns the text of a chunk; empty if the chunk has more than plain text of one choice, such as reasoning or a
     * tool call, or if it ends the answer.
     */
    private static Optional<String> plainText(JsonNode chunk) {
        StringBuilder text = new StringBuilder();
        for (JsonNode choice : chunk.path("choices")) {
            if (choice.path("index").asInt() != 0
                    || choice.hasNonNull("logprobs")
                    || choice.hasNonNull("finish_reason")) {
                return Optional.empty();
            }
            text.append(choice.path("text").asText(""));
            for (Map.Entry<String, JsonNode> field : choice.path("delta").properties()) {
                if (field.getKey().equals("content")) {
                    text.append(field.getValue().asText(""));
                } else if (!field.getKey().equals("role")) {
                    return Optional.empty();
                }
            }
        }
        return Optional.of(text.toString());
    }

    private static JsonNode parse(byte[] value) {
        JsonNode event = Json.parseLenient(new String(value, StandardCharsets.UTF_8));
        return event == null ? Json.mapper().missingNode() : event;
    }
}
