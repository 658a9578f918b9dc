package dev.penstock.testkit.upstream;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;

/** The bytes of a response, until they are taken. */
final class Response {
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream(1024);

    Response head(String head, List<String> more) {
        append(head);
        more.forEach(header -> append("\r\n" + header));
        append("\r\n\r\n");
        return this;
    }

    Response body(String body) {
        append(body);
        return this;
    }

    Response chunk(String chunk) {
        byte[] content = chunk.getBytes(StandardCharsets.UTF_8);
        append(Integer.toHexString(content.length) + "\r\n");
        bytes.write(content, 0, content.length);
        append("\r\n");
        return this;
    }

    Response chunks(List<String> chunks) {
        chunks.forEach(this::chunk);
        return this;
    }

    Response lastChunk() {
        append("0\r\n\r\n");
        return this;
    }

    Response raw(byte[] whole) {
        bytes.write(whole, 0, whole.length);
        return this;
    }

    boolean isEmpty() {
        return bytes.size() == 0;
    }

    byte[] take() {
        byte[] taken = bytes.toByteArray();
        bytes.reset();
        return taken;
    }

    private void append(String text) {
        byte[] encoded = text.getBytes(StandardCharsets.UTF_8);
        bytes.write(encoded, 0, encoded.length);
    }
}
