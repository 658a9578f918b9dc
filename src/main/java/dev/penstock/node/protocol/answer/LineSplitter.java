package dev.penstock.node.protocol.answer;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.function.Consumer;

/**
 * Cuts a byte stream into lines. A piece may end anywhere, even inside a line or a UTF-8 sequence. Not thread-safe: the
 * event loop of the connection owns it.
 */
public final class LineSplitter implements Cutter {
    private static final String BYTE_ORDER_MARK = "\uFEFF";

    private final int maxLine;
    private final Consumer<String> lines;
    private final ByteArrayOutputStream partial = new ByteArrayOutputStream(512);
    private boolean begun;

    /** @param maxLine the longest line, in bytes */
    public LineSplitter(int maxLine, Consumer<String> lines) {
        this.maxLine = maxLine;
        this.lines = lines;
    }

    @Override
    public boolean feed(byte[] bytes) {
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

    @Override
    public void end() {
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
            String line = new String(bytes, start, length, StandardCharsets.UTF_8);
            boolean marked = !begun && line.startsWith(BYTE_ORDER_MARK);
            begun = true;
            if (!marked || line.length() > 1) {
                lines.accept(marked ? line.substring(1) : line);
            }
        }
    }
}
