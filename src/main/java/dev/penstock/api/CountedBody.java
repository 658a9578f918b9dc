package dev.penstock.api;

import dev.penstock.job.JobFailure;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.time.Duration;
import java.util.function.IntConsumer;

/** A body whose bytes are counted as they come, and that is waited for no longer than a time, all its pauses together. */
final class CountedBody extends FilterInputStream {
    private final Duration patience;
    private final IntConsumer count;
    private long waitedNanos;

    /** @param count is told of each piece; what it throws ends the reading */
    CountedBody(InputStream body, Duration patience, IntConsumer count) {
        super(body);
        this.patience = patience;
        this.count = count;
    }

    @Override
    public int read() throws IOException {
        byte[] one = new byte[1];
        return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
    }

    @Override
    public int read(byte[] into, int offset, int length) throws IOException {
        long start = System.nanoTime();
        int read;
        try {
            read = super.read(into, offset, length);
        } catch (IOException e) {
            // the server waits no longer for one piece than for all of them
            if (isLate(start)) {
                throw late();
            }
            throw e;
        }
        if (read < 0) {
            return read;
        }
        if (isLate(start)) {
            throw late();
        }
        waitedNanos += System.nanoTime() - start;
        count.accept(read);
        return read;
    }

    private boolean isLate(long start) {
        return waitedNanos + System.nanoTime() - start >= patience.toNanos();
    }

    private ApiException late() {
        return new ApiException(JobFailure.of(
                JobFailure.Code.INVALID_REQUEST,
                "the body did not come within %s (penstock.api.body-timeout)".formatted(patience)));
    }

    @Override
    public long skip(long bytes) throws IOException {
        return read(new byte[Math.clamp(bytes, 1, 1 << 16)]);
    }
}
