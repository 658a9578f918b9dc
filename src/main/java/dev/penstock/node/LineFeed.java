package dev.penstock.node;

import dev.penstock.job.JobFailure;
import io.vertx.core.Context;
import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpClientRequest;
import io.vertx.core.http.HttpClientResponse;
import java.time.Duration;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * An answer line by line: filled by the event loop of its connection, read by one thread. Closing it before its end closes the
 * connection.
 */
final class LineFeed implements Connections.Exchange, AutoCloseable {
    private static final int MAX_LINE = 1024 * 1024;
    private static final int MAX_ERROR_BODY = 64 * 1024;

    private final NodeErrors errors;
    private final Vertx vertx;
    private final LinkedBlockingQueue<Next> lines = new LinkedBlockingQueue<>();
    private volatile @Nullable Context loop;

    private volatile boolean closed;

    /* These belong to the event loop of the connection. */
    private @Nullable HttpClientRequest request;
    private boolean over;
    private boolean responseEnded;

    /** What came next. */
    sealed interface Next {
        record Line(String text) implements Next {}

        /** The answer is whole. */
        record Ended() implements Next {}

        /** There is no answer, or not all of it. */
        record Broken(JobFailure failure) implements Next {}
    }

    LineFeed(NodeErrors errors, Vertx vertx) {
        this.errors = errors;
        this.vertx = vertx;
    }

    /** @return null: nothing in this time */
    @Nullable
    Next next(Duration atMost) throws InterruptedException {
        return lines.poll(atMost.toMillis(), TimeUnit.MILLISECONDS);
    }

    /** On the event loop, as all below: the connection is there. */
    @Override
    public void connected(HttpClientRequest connected) {
        request = connected;
        loop = vertx.getOrCreateContext();
        if (closed) {
            leave();
        }
    }

    @Override
    public void connectFailed(Throwable cause) {
        finish(new Next.Broken(errors.unreachable(cause)));
    }

    @Override
    public void answered(HttpClientResponse answer) {
        if (answer.statusCode() == 200) {
            LineSplitter splitter = new LineSplitter(MAX_LINE, line -> lines.add(new Next.Line(line)));
            answer.handler(buffer -> {
                if (!over && !splitter.feed(buffer.getBytes())) {
                    broken();
                    leave();
                }
            });
            answer.endHandler(_ -> {
                responseEnded = true;
                splitter.end();
                finish(new Next.Ended());
            });
        } else {
            Buffer body = Buffer.buffer();
            answer.handler(buffer -> {
                if (body.length() < MAX_ERROR_BODY) {
                    body.appendBuffer(buffer);
                }
            });
            answer.endHandler(_ -> {
                responseEnded = true;
                finish(new Next.Broken(errors.refused(answer.statusCode(), body.toString(), null)));
            });
        }
        answer.exceptionHandler(_ -> broken());
    }

    @Override
    public void connectionFailed(Throwable cause) {
        broken();
    }

    @Override
    public boolean isClosed() {
        return closed;
    }

    private void broken() {
        finish(new Next.Broken(errors.broken("closed the connection before the answer was whole")));
    }

    private void finish(Next last) {
        if (!over) {
            over = true;
            lines.add(last);
        }
    }

    @Override
    public void close() {
        closed = true;
        Context context = loop;
        if (context != null) {
            context.runOnContext(_ -> leave());
        }
    }

    private void leave() {
        over = true;
        if (request != null && !responseEnded) {
            responseEnded = true;
            var _ = request.reset();
        }
    }
}
