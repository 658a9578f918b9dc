package dev.penstock.api.call;

import dev.penstock.job.JobFailure;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.time.Duration;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;

/**
 * Counts the bytes of a body while they come. The reads of a body may wait only for a limited total time. When that
 * time is over, the waiting read is interrupted, and the call gets an error. The server's own read timeout would close
 * the connection without an answer.
 */
public final class CountedBody extends FilterInputStream {
    private final Duration patience;
    private final IntConsumer count;
    private final Timer timer;
    private boolean ended;
    private @Nullable Runnable cancel;
    private @Nullable Thread waiting;
    private long waitsSince;
    private long waitedNanos;

    /** Runs a task once after a delay, on any thread. */
    @FunctionalInterface
    public interface Timer {
        /** @return a task that cancels the timer */
        Runnable after(Duration delay, Runnable task);
    }

    /** @param count receives the size of each piece; an exception from it ends the reading */
    public CountedBody(InputStream body, Duration patience, IntConsumer count, Timer timer) {
        super(body);
        this.patience = patience;
        this.count = count;
        this.timer = timer;
    }

    @Override
    public int read() throws IOException {
        byte[] one = new byte[1];
        return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
    }

    @Override
    public int read(byte[] into, int offset, int length) throws IOException {
        begin();
        int read;
        boolean late;
        try {
            read = super.read(into, offset, length);
        } catch (IOException e) {
            if (isOver()) {
                throw late();
            }
            throw e;
        } finally {
            late = isOver();
        }
        if (read < 0) {
            end();
            return read;
        }
        if (late) {
            throw late();
        }
        count.accept(read);
        return read;
    }

    private synchronized void begin() {
        waiting = Thread.currentThread();
        waitsSince = System.nanoTime();
        if (cancel == null) {
            look();
        }
    }

    /** Ends the wait of a read. Returns whether the time of the body is over. */
    private synchronized boolean isOver() {
        if (waiting != null) {
            waitedNanos += System.nanoTime() - waitsSince;
            waiting = null;
            if (left() <= 0) {
                // clears the interrupt that the timer may have sent
                var _ = Thread.interrupted();
            }
        }
        return left() <= 0;
    }

    private long left() {
        long now = waiting == null ? 0 : System.nanoTime() - waitsSince;
        return patience.toNanos() - waitedNanos - now;
    }

    private synchronized void look() {
        if (ended) {
            return;
        }
        if (left() > 0) {
            cancel = timer.after(Duration.ofNanos(left()), this::look);
        } else if (waiting != null) {
            waiting.interrupt();
        }
    }

    /** Stops the timer when the call or its body has ended. */
    synchronized void end() {
        ended = true;
        if (cancel != null) {
            cancel.run();
        }
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
