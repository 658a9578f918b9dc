package dev.penstock.cli.batch;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import org.jspecify.annotations.Nullable;

/** Reads a file line by line, as bytes. A line that is no UTF-8 does not stop the others. */
final class ByteLines implements AutoCloseable {
    private final InputStream in;
    private long position;
    private boolean ended;

    ByteLines(InputStream in) {
        this.in = new BufferedInputStream(in, 1 << 16);
    }

    /** Returns the next line without its end; null at the end of the file. */
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

    /** Returns whether the last line had an end. */
    boolean ended() {
        return ended;
    }

    /** Returns the bytes read so far, with the ends of lines. */
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
