package dev.penstock.api.jobs;

import dev.penstock.api.call.ApiException;
import dev.penstock.job.JobFailure;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import org.apache.kafka.common.utils.Bytes;
import org.jspecify.annotations.Nullable;

/**
 * Reads the lines of a body, one after the other. It holds one line at a time. If a line is too long, it holds only the
 * line's length.
 */
final class LineReader {
    private static final int PIECE = 1 << 16;

    private final InputStream in;
    private final int longest;
    private final byte[] piece = new byte[PIECE];
    private int at;
    private int end;
    private long number;
    private @Nullable JobFailure failure;

    /**
     * A line that is not blank.
     *
     * @param number the number of the line; it starts at 1 and includes blank lines
     * @param size the number of bytes
     */
    record Line(long number, Bytes document, long size) {
        /** Returns whether the line is too long. Then its document is empty. */
        boolean isTooLong() {
            return size > document.get().length;
        }
    }

    /** @param longest the maximum length of a line whose document is kept, in bytes */
    LineReader(InputStream in, int longest) {
        this.in = in;
        this.longest = longest;
    }

    /** Returns the failure that stopped the reading of the body; null if there is none. */
    @Nullable
    JobFailure failure() {
        return failure;
    }

    /** Returns the number of the line that was read last, or that could not be read. */
    long number() {
        return number;
    }

    /** @return the next line; null if there is none */
    @Nullable
    Line next() throws IOException {
        try {
            return read();
        } catch (ApiException e) {
            failure = e.failure();
            at = end;
            return null;
        }
    }

    private @Nullable Line read() throws IOException {
        ByteArrayOutputStream line = new ByteArrayOutputStream();
        long size = 0;
        boolean blank = true;
        boolean any = false;
        while (true) {
            if (at == end && (failure != null || !fill())) {
                return any && !blank ? line(line, size) : null;
            }
            if (!any) {
                number++;
                any = true;
            }
            int start = at;
            while (at < end && piece[at] != '\n' && piece[at] != '\r') {
                blank &= piece[at] == ' ' || piece[at] == '\t';
                at++;
            }
            size += at - start;
            if (blank || size > longest) {
                // blanks before a document are not part of it, and a line that is too long is not kept
                line.reset();
            } else {
                line.write(piece, start, at - start);
            }
            if (at < end) {
                endLine();
                if (!blank) {
                    return line(line, size);
                }
                line.reset();
                size = 0;
                any = false;
            }
        }
    }

    private Line line(ByteArrayOutputStream line, long size) {
        return size > longest
                ? new Line(number, Bytes.wrap(new byte[0]), size)
                : new Line(number, Bytes.wrap(line.toByteArray()), line.size());
    }

    /** Skips the end of a line: a line feed, a carriage return, or both. */
    private void endLine() throws IOException {
        boolean carriageReturn = piece[at++] == '\r';
        if (carriageReturn && (at < end || fill()) && piece[at] == '\n') {
            at++;
        }
    }

    /** Reads the rest of the body and keeps nothing of it. */
    void drop() throws IOException {
        try {
            while (failure == null && fill()) {
                at = end;
            }
        } catch (ApiException e) {
            failure = e.failure();
        }
    }

    private boolean fill() throws IOException {
        at = 0;
        end = 0;
        end = Math.max(0, in.read(piece, 0, piece.length));
        return end > 0;
    }
}
