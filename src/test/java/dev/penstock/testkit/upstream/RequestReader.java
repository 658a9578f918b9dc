package dev.penstock.testkit.upstream;

import io.vertx.core.buffer.Buffer;
import java.nio.charset.StandardCharsets;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Cuts a client's bytes into HTTP/1.1 requests. Not thread-safe: the event loop of the connection owns it. */
final class RequestReader {
    private static final int MAX_HEAD = 64 * 1024;

    private Buffer unread = Buffer.buffer();
    private int searchedTo;
    private @Nullable Head head;
    private Buffer body = Buffer.buffer();

    /** The client does not use HTTP. */
    static final class Malformed extends Exception {
        Malformed(String message) {
            super(message);
        }
    }

    /** @param last whether the client wants the connection closed after the answer */
    record Head(String method, String path, Map<String, String> headers, boolean last) {}

    record Request(Head head, Buffer body) {}

    void feed(Buffer bytes) {
        unread = unread.length() == 0 ? bytes.copy() : unread.appendBuffer(bytes);
    }

    /** Returns the next request, or null while it is incomplete. */
    @Nullable
    Request next() throws Malformed {
        Head current = head == null ? readHead() : head;
        head = current;
        if (current == null || !readBody(current)) {
            return null;
        }
        Request request = new Request(current, body);
        head = null;
        body = Buffer.buffer();
        return request;
    }

    /** Returns, once, whether the client waits for permission before it sends the body. */
    boolean asksToContinue() {
        Head current = head;
        if (current == null
                || !"100-continue".equalsIgnoreCase(current.headers().get("expect"))) {
            return false;
        }
        head = new Head(current.method(), current.path(), without(current.headers(), "expect"), current.last());
        return unread.length() == 0;
    }

    private @Nullable Head readHead() throws Malformed {
        int end = find("\r\n\r\n", searchedTo);
        if (end < 0) {
            searchedTo = Math.max(0, unread.length() - 3);
            if (unread.length() > MAX_HEAD) {
                throw new Malformed("a head of more than " + MAX_HEAD + " bytes");
            }
            return null;
        }
        String text = unread.getString(0, end, StandardCharsets.ISO_8859_1.name());
        consume(end + 4);
        return parse(text);
    }

    private static Head parse(String text) throws Malformed {
        String[] lines = text.split("\r\n", -1);
        String[] start = lines[0].split(" ", -1);
        if (start.length != 3 || !start[2].startsWith("HTTP/1.")) {
            throw new Malformed("no request line: " + lines[0]);
        }
        Map<String, String> headers = new LinkedHashMap<>();
        for (int i = 1; i < lines.length; i++) {
            int colon = lines[i].indexOf(':');
            if (colon < 1) {
                throw new Malformed("no header: " + lines[i]);
            }
            headers.put(
                    lines[i].substring(0, colon).toLowerCase(Locale.ROOT),
                    lines[i].substring(colon + 1).strip());
        }
        int query = start[1].indexOf('?');
        String connection = headers.getOrDefault("connection", "").toLowerCase(Locale.ROOT);
        boolean last =
                connection.contains("close") || (start[2].equals("HTTP/1.0") && !connection.contains("keep-alive"));
        return new Head(
                start[0],
                query < 0 ? start[1] : start[1].substring(0, query),
                Collections.unmodifiableMap(headers),
                last);
    }

    private boolean readBody(Head current) throws Malformed {
        if ("chunked".equalsIgnoreCase(current.headers().get("transfer-encoding"))) {
            return readChunks();
        }
        int length = number(current.headers().getOrDefault("content-length", "0"), 10);
        if (unread.length() < length) {
            return false;
        }
        body = unread.getBuffer(0, length);
        consume(length);
        return true;
    }

    private boolean readChunks() throws Malformed {
        while (true) {
            int line = find("\r\n", 0);
            if (line < 0) {
                return false;
            }
            int size = number(unread.getString(0, line), 16);
            int whole = line + 2 + size + 2;
            if (unread.length() < whole) {
                return false;
            }
            body.appendBuffer(unread, line + 2, size);
            consume(whole);
            if (size == 0) {
                return true;
            }
        }
    }

    private int find(String what, int from) {
        for (int i = from; i + what.length() <= unread.length(); i++) {
            int matched = 0;
            while (matched < what.length() && unread.getByte(i + matched) == what.charAt(matched)) {
                matched++;
            }
            if (matched == what.length()) {
                return i;
            }
        }
        return -1;
    }

    private void consume(int bytes) {
        unread = unread.getBuffer(bytes, unread.length());
        searchedTo = 0;
    }

    private static int number(String text, int radix) throws Malformed {
        try {
            return Integer.parseUnsignedInt(text.strip(), radix);
        } catch (NumberFormatException _) {
            throw new Malformed("no length: " + text);
        }
    }

    private static Map<String, String> without(Map<String, String> headers, String name) {
        Map<String, String> rest = new LinkedHashMap<>(headers);
        rest.remove(name);
        return Collections.unmodifiableMap(rest);
    }
}
