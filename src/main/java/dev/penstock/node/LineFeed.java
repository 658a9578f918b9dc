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
import java.util.function.Consumer;
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
    private final Framing framing;
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

    /** What a line is. */
    enum Framing {
        LINES,
        /** The data of a server-sent event. */
        EVENTS
    }

    LineFeed(NodeErrors errors, Vertx vertx, Framing framing) {
        this.errors = errors;
        this.vertx = vertx;
        this.framing = framing;
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
            Cutter splitter = cutter();
            ContentDecoder decoder;
            try {
                decoder = ContentDecoder.of(answer.getHeader("Content-Encoding"));
            } catch (ContentDecoder.Undecodable e) {
                undecodable(e);
                return;
            }
            answer.handler(buffer -> {
                try {
                    if (!over && !decoder.feed(buffer.getBytes(), splitter::feed)) {
                        broken();
                        leave();
                    }
                } catch (ContentDecoder.Undecodable e) {
                    undecodable(e);
                }
            });
            answer.endHandler(_ -> {
                responseEnded = true;
                try {
                    decoder.end();
                    splitter.end();
                    finish(new Next.Ended());
                } catch (ContentDecoder.Undecodable e) {
                    undecodable(e);
                }
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
                finish(new Next.Broken(errors.refused(
                        answer.statusCode(),
                        ContentDecoder.text(answer.getHeader("Content-Encoding"), body.getBytes()),
                        null)));
            });
        }
        answer.exceptionHandler(_ -> broken());
    }

    private Cutter cutter() {
        Consumer<String> line = text -> lines.add(new Next.Line(text));
        return switch (framing) {
            case LINES -> new LineSplitter(MAX_LINE, line);
            case EVENTS -> new EventSplitter(MAX_LINE, line, _ -> {});
        };
    }

    private void undecodable(ContentDecoder.Undecodable what) {
        finish(new Next.Broken(errors.failed(JobFailure.of(JobFailure.Code.NODE_ERROR, what.what()))));
        leave();
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
