package dev.penstock.wire;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Parses server-sent events by the WHATWG's event stream format. The network may cut the bytes anywhere. Not
 * thread-safe: its reader owns it.
 */
public final class SseParser {
    private static final String BYTE_ORDER_MARK = "\uFEFF";
    private static final byte[] DATA = "data:".getBytes(StandardCharsets.UTF_8);

    private final long longest;
    private final Consumer<Event> events;
    private final Consumer<String> unknown;
    private final ByteArrayOutputStream partial = new ByteArrayOutputStream(512);
    /** The data of the event so far, without its last line. */
    private final StringBuilder data = new StringBuilder();
    /** The last line of the data; null if the event has no data. */
    private @Nullable String lastData;

    private boolean afterCarriageReturn;
    private boolean atBeginning = true;
    private String name = "";
    private String id = "";

    /**
     * One event.
     *
     * @param name the event's name; "message" if the stream sent none
     * @param id the last id that the stream has sent; empty before the first id
     */
    public record Event(String name, String id, String data) {}

    /** @param events takes each event as soon as it is complete */
    public SseParser(Consumer<Event> events) {
        this(Integer.MAX_VALUE, events, _ -> {});
    }

    /**
     * @param longest the longest line in bytes, and the longest data of an event in characters
     * @param events takes each event as soon as it is complete
     * @param unknown receives each line whose field the format does not define; other readers of the format ignore
     *     such a line
     */
    public SseParser(long longest, Consumer<Event> events, Consumer<String> unknown) {
        this.longest = longest;
        this.events = events;
        this.unknown = unknown;
    }

    /** Parses the remaining bytes of a buffer. */
    public boolean feed(ByteBuffer buffer) {
        byte[] bytes = new byte[buffer.remaining()];
        buffer.get(bytes);
        return feed(bytes);
    }

    /** @return false if a line or an event is too long; then the stream is unusable */
    public boolean feed(byte[] bytes) {
        int start = 0;
        for (int i = 0; i < bytes.length; i++) {
            byte b = bytes[i];
            if (b == '\n' && afterCarriageReturn) {
                start = i + 1;
                afterCarriageReturn = false;
            } else if (b == '\n' || b == '\r') {
                endLine(bytes, start, i);
                start = i + 1;
                afterCarriageReturn = b == '\r';
            } else {
                afterCarriageReturn = false;
            }
        }
        partial.write(bytes, start, bytes.length - start);
        return partial.size() <= longest && dataLength() <= longest;
    }

    private long dataLength() {
        return (long) data.length() + (lastData == null ? 0 : lastData.length());
    }

    /**
     * Ends the stream, and accepts a last event without the empty line after it. The format drops such an event. So
     * call this method only if a truncated event is recognizable.
     */
    public void end() {
        if (partial.size() > 0) {
            endLine(new byte[0], 0, 0);
        }
        endEvent();
    }

    private void endLine(byte[] bytes, int start, int end) {
        if (partial.size() == 0 && !atBeginning && isData(bytes, start, end)) {
            int from = start + DATA.length + (end > start + DATA.length && bytes[start + DATA.length] == ' ' ? 1 : 0);
            data(new String(bytes, from, end - from, StandardCharsets.UTF_8));
            return;
        }
        String line;
        if (partial.size() == 0) {
            line = new String(bytes, start, end - start, StandardCharsets.UTF_8);
        } else {
            partial.write(bytes, start, end - start);
            line = partial.toString(StandardCharsets.UTF_8);
            partial.reset();
        }
        if (atBeginning && line.startsWith(BYTE_ORDER_MARK)) {
            line = line.substring(1);
        }
        atBeginning = false;
        if (line.isEmpty()) {
            endEvent();
        } else {
            field(line);
        }
    }

    /** Returns whether a line is one of data, as most lines are. */
    private static boolean isData(byte[] bytes, int start, int end) {
        return end - start >= DATA.length && Arrays.equals(bytes, start, start + DATA.length, DATA, 0, DATA.length);
    }

    private void data(String value) {
        if (lastData != null) {
            data.append(lastData).append('\n');
        }
        lastData = value;
    }

    private void endEvent() {
        Event event = lastData == null
                ? null
                : new Event(
                        name.isEmpty() ? "message" : name,
                        id,
                        data.isEmpty() ? lastData : data.append(lastData).toString());
        data.setLength(0);
        lastData = null;
        name = "";
        if (event != null) {
            events.accept(event);
        }
    }

    private void field(String line) {
        int colon = line.indexOf(':');
        String field = colon < 0 ? line : line.substring(0, colon);
        String value = colon < 0 ? "" : line.substring(colon + 1);
        if (value.startsWith(" ")) {
            value = value.substring(1);
        }
        switch (field) {
            case "event" -> name = value;
            case "data" -> data(value);
            case "id" -> {
                if (value.indexOf('\0') < 0) {
                    id = value;
                }
            }
            case "", "retry" -> {
                // ignores comments, and the wait before the next connection
            }
            default -> unknown.accept(line);
        }
    }
}
