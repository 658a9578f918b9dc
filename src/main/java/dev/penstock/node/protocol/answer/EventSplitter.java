package dev.penstock.node.protocol.answer;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.wire.Json;
import dev.penstock.wire.SseParser;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Cuts a body of server-sent events into the JSON values in their data. A body that begins as JSON is not an event
 * stream. Its values are read too, because a server may answer with one document, or may refuse a request with status
 * 200.
 */
public final class EventSplitter implements Cutter {
    private static final int MOST_STRAY_TEXT = 2_000;
    private static final byte[] BYTE_ORDER_MARK = {(byte) 0xEF, (byte) 0xBB, (byte) 0xBF};

    private final Consumer<String> values;
    private final Consumer<String> failure;
    private final JsonValues inData;
    private final JsonValues inBody;
    private final SseParser events;
    private final LineSplitter document;
    private final StringBuilder stray = new StringBuilder();
    private @Nullable Boolean isDocument;
    private int marked;
    private boolean hasEvent;

    /**
     * @param longest the longest line or event, in bytes
     * @param values receives each JSON value
     * @param failure receives the message of a failure that the server reports outside of JSON
     */
    public EventSplitter(int longest, Consumer<String> values, Consumer<String> failure) {
        this.values = values;
        this.failure = failure;
        inData = new JsonValues(longest);
        inBody = new JsonValues(longest);
        events = new SseParser(longest, this::event, this::unknown);
        document = new LineSplitter(longest, line -> inBody.add(line).forEach(values));
    }

    @Override
    public boolean feed(byte[] bytes) {
        for (int i = 0; isDocument == null && i < bytes.length; i++) {
            if (marked < BYTE_ORDER_MARK.length && bytes[i] == BYTE_ORDER_MARK[marked]) {
                marked++;
            } else if (!Character.isWhitespace(bytes[i])) {
                isDocument = bytes[i] == '{' || bytes[i] == '[';
            }
        }
        return Boolean.TRUE.equals(isDocument) ? document.feed(bytes) : events.feed(bytes);
    }

    /**
     * Ends the body. The last event is valid without the empty line after it, because many servers leave this line out.
     * If the event is truncated, its JSON cannot be parsed.
     */
    @Override
    public void end() {
        if (Boolean.TRUE.equals(isDocument)) {
            document.end();
            accept(inBody.rest());
            return;
        }
        events.end();
        if (!hasEvent && !stray.isEmpty()) {
            failure.accept(stray.toString());
        }
    }

    private void event(SseParser.Event event) {
        hasEvent = true;
        if (event.name().equals("error")) {
            failed(event.data());
            return;
        }
        inData.add(event.data()).forEach(values);
        accept(inData.rest());
    }

    /**
     * Reads a line that is not part of an event. Some servers write an error in such a line, as a field {@code error}
     * or as JSON.
     */
    private void unknown(String line) {
        if (line.startsWith("error:")) {
            hasEvent = true;
            failed(line.substring("error:".length()).strip());
        } else if (line.startsWith("{")) {
            hasEvent = true;
            values.accept(line);
        } else if (stray.length() < MOST_STRAY_TEXT) {
            stray.append(stray.isEmpty() ? "" : " ").append(line.strip());
        }
    }

    private void failed(String data) {
        JsonNode json = Json.parseLenient(data);
        if (json != null && ServerErrors.isError(json.isArray() ? json.path(0) : json)) {
            values.accept(data);
        } else {
            failure.accept(json == null || !json.isContainerNode() ? data : ServerErrors.message(json));
        }
    }

    private void accept(String rest) {
        if (!rest.isEmpty()) {
            values.accept(rest);
        }
    }
}
