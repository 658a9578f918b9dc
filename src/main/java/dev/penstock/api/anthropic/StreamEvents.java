package dev.penstock.api.anthropic;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.job.Answer;
import dev.penstock.job.JobFailure;
import dev.penstock.wire.Json;
import java.nio.charset.StandardCharsets;

/** Writes the events of a streamed message, and numbers its content blocks. Not thread-safe. */
final class StreamEvents {
    private final StringBuilder written = new StringBuilder();
    private boolean begun;
    private int block = -1;

    /** Writes the event message_start, but only once. */
    void begin(Answer.Head head) {
        if (!begun) {
            begun = true;
            ObjectNode event = event("message_start");
            event.set("message", MessageAnswer.begun(head));
            write(event);
        }
    }

    void blockStart(ObjectNode content) {
        block++;
        ObjectNode event = event("content_block_start").put("index", block);
        event.set("content_block", content);
        write(event);
    }

    /** Writes a piece of the block that is open. */
    void blockDelta(String type, String field, String piece) {
        ObjectNode event = event("content_block_delta").put("index", block);
        event.putObject("delta").put("type", type).put(field, piece);
        write(event);
    }

    void blockStop() {
        write(event("content_block_stop").put("index", block));
    }

    void end(ObjectNode delta, ObjectNode usage) {
        ObjectNode event = event("message_delta");
        event.set("delta", delta);
        event.set("usage", usage);
        write(event);
        write(event("message_stop"));
    }

    void broken(JobFailure failure) {
        write(AnthropicError.of(failure));
    }

    /** Returns what has been written since the last call. */
    String take() {
        String text = written.toString();
        written.setLength(0);
        return text;
    }

    static ObjectNode content(String type) {
        return event(type);
    }

    private static ObjectNode event(String type) {
        return Json.mapper().createObjectNode().put("type", type);
    }

    private void write(ObjectNode event) {
        written.append("event: ")
                .append(event.path("type").textValue())
                .append("\ndata: ")
                .append(new String(Json.bytes(event), StandardCharsets.UTF_8))
                .append("\n\n");
    }
}
