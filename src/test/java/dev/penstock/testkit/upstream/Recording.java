package dev.penstock.testkit.upstream;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * A recorded answer of a real server, byte for byte.
 *
 * @param whole one character for each byte, as {@link #bytes} needs them
 * @param headers by lower-case name
 * @param chunks the chunks of the body; a body without chunk framing is one chunk
 * @param ended whether the body ends at the end of its framing
 */
public record Recording(
        String name, String whole, int status, Map<String, String> headers, List<String> chunks, boolean ended) {

    public Recording {
        headers = Map.copyOf(headers);
        chunks = List.copyOf(chunks);
    }

    /** @param name for example {@code vllm/chat-stream} */
    public static Recording of(String name) {
        try (InputStream in = Recording.class.getResourceAsStream("/recordings/" + name + ".txt")) {
            if (in == null) {
                throw new IllegalArgumentException("there is no recording " + name);
            }
            return parse(name, new String(in.readAllBytes(), StandardCharsets.ISO_8859_1));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Parses any response into the same form. */
    static Recording parse(String name, String whole) {
        int end = whole.indexOf("\r\n\r\n");
        if (end < 0) {
            throw new IllegalArgumentException("the recording " + name + " has no head");
        }
        String[] lines = whole.substring(0, end).split("\r\n", -1);
        Map<String, String> headers = new LinkedHashMap<>();
        for (int i = 1; i < lines.length; i++) {
            int colon = lines[i].indexOf(':');
            headers.put(
                    lines[i].substring(0, colon).toLowerCase(Locale.ROOT),
                    lines[i].substring(colon + 1).strip());
        }
        int status = Integer.parseInt(lines[0].split(" ", -1)[1]);
        String body = whole.substring(end + 4);
        if (headers.containsKey("transfer-encoding")) {
            List<String> chunks = new ArrayList<>();
            boolean ended = dechunk(body, chunks);
            return new Recording(name, whole, status, headers, chunks, ended);
        }
        int length = Integer.parseInt(headers.getOrDefault("content-length", "0"));
        return new Recording(name, whole, status, headers, List.of(utf8(body)), body.length() == length);
    }

    private static boolean dechunk(String body, List<String> chunks) {
        int at = 0;
        while (true) {
            int line = body.indexOf("\r\n", at);
            if (line < 0) {
                return false;
            }
            int size = Integer.parseInt(body.substring(at, line), 16);
            if (line + 2 + size + 2 > body.length()) {
                return false;
            }
            if (size == 0) {
                return true;
            }
            chunks.add(utf8(body.substring(line + 2, line + 2 + size)));
            at = line + 2 + size + 2;
        }
    }

    private static String utf8(String bytes) {
        return new String(bytes.getBytes(StandardCharsets.ISO_8859_1), StandardCharsets.UTF_8);
    }

    /** Returns status line, headers, chunk framing and body. */
    public byte[] bytes() {
        return whole.getBytes(StandardCharsets.ISO_8859_1);
    }

    /** Returns the body without its framing. */
    public String body() {
        return String.join("", chunks);
    }

    /** Returns status line and headers, without the empty line. */
    public String head() {
        return whole.substring(0, whole.indexOf("\r\n\r\n"));
    }
}
