package dev.penstock.cli.batch;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import org.jspecify.annotations.Nullable;

/** Reads a file line by line, as bytes. If one line is not valid UTF-8, the other lines can still be read. */
final class ByteLines implements AutoCloseable {
    private final InputStream in;
    private long position;
    private boolean ended;

    ByteLines(InputStream in) {
        this.in = new BufferedInputStream(in, 1 << 16);
    }

    /** Returns the next line without its line break; null at the end of the file. */
    byte @Nullable [] next() throws IOException {
        ByteArrayOutputStream line = new ByteArrayOutputStream();
        ended = false;
        while (true) {
            int b = in.read();
            if (b < 0) {
                return line.size() == 0 ? null : line.toByteArray();
            }
            position++;
            if (b == '\n') {
                ended = true;
                return line.toByteArray();
            }
            line.write(b);
        }
    }

    /** Returns whether the line that was returned last had a line break. */
    boolean ended() {
        return ended;
    }

    /** Returns the number of bytes that were read so far, including line breaks. */
    long position() {
        return position;
    }

    static boolean isBlank(byte[] line) {
        for (byte b : line) {
            if (b != ' ' && b != '\t' && b != '\r') {
                return false;
            }
        }
        return true;
    }

    @Override
    public void close() throws IOException {
        in.close();
    }
}
