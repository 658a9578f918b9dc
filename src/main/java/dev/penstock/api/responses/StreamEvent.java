package dev.penstock.api.responses;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.charset.StandardCharsets;

/**
 * An event of a streamed response.
 *
 * @param number the event's {@code sequence_number}, counted from 0 without gaps
 * @param data the event as JSON; it also contains the type and the number
 */
record StreamEvent(long number, String type, ObjectNode data) {
    /** The type of the event that ends a stream early. */
    static final String ERROR = "error";

    /** Returns the event as a server-sent event. */
    String text() {
        return "event: " + type + "\ndata: " + data + "\n\n";
    }

    byte[] bytes() {
        return text().getBytes(StandardCharsets.UTF_8);
    }

    /** Returns whether no event follows in the same stream. */
    boolean endsStream() {
        return type.equals(ERROR);
    }
}
