package dev.penstock.cli;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/** Server-sent events out of bytes, wherever the network cuts them. Owned by the thread that reads. */
final class SseParser {
    private static final String BYTE_ORDER_MARK = "\uFEFF";

    private final ByteArrayOutputStream line = new ByteArrayOutputStream();
    private final StringBuilder data = new StringBuilder();
    private boolean hasData;
    private boolean afterCarriageReturn;
    private boolean atBeginning = true;
    private String name = "";
    private String id = "";

    /**
     * One event.
     *
     * @param name "message" where the stream gave none
     * @param id the last id that the stream gave, empty before any
     */
    record Event(String name, String id, String data) {}

    /** The events that these bytes complete. */
    List<Event> feed(ByteBuffer bytes) {
        List<Event> events = new ArrayList<>();
        while (bytes.hasRemaining()) {
            byte b = bytes.get();
            boolean secondHalf = afterCarriageReturn && b == '\n';
            afterCarriageReturn = b == '\r';
            if (b == '\r' || (b == '\n' && !secondHalf)) {
                endLine(events);
            } else if (!secondHalf) {
                line.write(b);
            }
        }
        return events;
    }

    private void endLine(List<Event> events) {
        String text = line.toString(StandardCharsets.UTF_8);
        line.reset();
        if (atBeginning && text.startsWith(BYTE_ORDER_MARK)) {
            text = text.substring(1);
        }
        atBeginning = false;
        if (!text.isEmpty()) {
            field(text);
            return;
        }
        if (hasData) {
            events.add(new Event(name.isEmpty() ? "message" : name, id, data.toString()));
        }
        data.setLength(0);
        hasData = false;
        name = "";
    }

    private void field(String text) {
        int colon = text.indexOf(':');
        String field = colon < 0 ? text : text.substring(0, colon);
        String value = colon < 0 ? "" : text.substring(colon + 1);
        if (value.startsWith(" ")) {
            value = value.substring(1);
        }
        switch (field) {
            case "event" -> name = value;
            case "data" -> {
                if (hasData) {
                    data.append('\n');
                }
                data.append(value);
                hasData = true;
            }
            case "id" -> {
                if (value.indexOf('\0') < 0) {
                    id = value;
                }
            }
            default -> {
                // a comment, or a field that is none of ours
            }
        }
    }
}
