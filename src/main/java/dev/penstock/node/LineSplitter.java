package dev.penstock.node;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.function.Consumer;

/**
 * Cuts a byte stream into lines, wherever its pieces end: inside a line, or inside a UTF-8 sequence. Not thread-safe:
 * owned by the event loop of the connection.
 */
final class LineSplitter {
    private final int maxLine;
    private final Consumer<String> lines;
    private final ByteArrayOutputStream partial = new ByteArrayOutputStream(512);

    /** @param maxLine in bytes */
    LineSplitter(int maxLine, Consumer<String> lines) {
        this.maxLine = maxLine;
        this.lines = lines;
    }

    /** @return false when a line is too long: the stream is of no use any more */
    boolean feed(byte[] bytes) {
        int start = 0;
        for (int i = 0; i < bytes.length; i++) {
            if (bytes[i] == '\n') {
                if (partial.size() == 0) {
                    emit(bytes, start, i);
                } else {
                    partial.write(bytes, start, i - start);
                    end();
                }
                start = i + 1;
            }
        }
        partial.write(bytes, start, bytes.length - start);
        return partial.size() <= maxLine;
    }

    /** The stream has ended: what is left is a line too. */
    void end() {
        byte[] line = partial.toByteArray();
        partial.reset();
        emit(line, 0, line.length);
    }

    private void emit(byte[] bytes, int start, int end) {
        int length = end - start;
        if (length > 0 && bytes[end - 1] == '\r') {
            length--;
        }
        if (length > 0) {
            lines.accept(new String(bytes, start, length, StandardCharsets.UTF_8));
        }
    }
}
