package dev.penstock.node.http;

import dev.penstock.job.JobFailure;
import dev.penstock.node.protocol.answer.Cutter;
import dev.penstock.node.protocol.answer.EventSplitter;
import dev.penstock.node.protocol.answer.LineSplitter;
import dev.penstock.settings.Settings;
import io.vertx.core.Context;
import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpClientRequest;
import io.vertx.core.http.HttpClientResponse;
import java.time.Duration;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * A server's answer, line by line. The event loop of the connection adds the lines, and one thread reads them. Closing
 * the feed before the answer is complete closes the connection.
 */
public final class LineFeed implements Connections.Exchange, AutoCloseable {
    private static final int MAX_LINE = 1024 * 1024;
    private static final int PAUSE_ABOVE = 1024;
    private static final int RESUME_BELOW = 128;
    private static final int PAUSE_ABOVE_BYTES = 1024 * 1024;
    private static final int MAX_ERROR_BODY = 64 * 1024;

    private final NodeErrors errors;
    private final Vertx vertx;
    private final Framing framing;
    private final Settings.Answers limits;
    private final ReadAhead<Next> lines = new ReadAhead<>(PAUSE_ABOVE, RESUME_BELOW, PAUSE_ABOVE_BYTES, _ -> 1);
    private volatile @Nullable Context loop;

    private volatile boolean closed;

    /* The event loop of the connection owns these. */
    private @Nullable HttpClientRequest request;
    private @Nullable HttpClientResponse response;
    private long taken;
    private boolean over;
    private boolean responseEnded;

    /** The next part of an answer. */
    public sealed interface Next {
        record Line(String text) implements Next {}

        /** The answer is complete. */
        record Ended() implements Next {}

        /** The answer failed, or it is incomplete. */
        record Broken(JobFailure failure) implements Next {}
    }

    /** The kind of text that the feed returns as a line. */
    enum Framing {
        LINES,
        /** The data of a server-sent event. */
        EVENTS
    }

    LineFeed(NodeErrors errors, Vertx vertx, Framing framing, Settings.Answers limits) {
        this.limits = limits;
        this.errors = errors;
        this.vertx = vertx;
        this.framing = framing;
    }

    /** @return the next part; null if none came in this time */
    public @Nullable Next next(Duration atMost) throws InterruptedException {
        Next next = lines.take(atMost.toNanos(), 0);
        if (lines.isToResume()) {
            resume();
        }
        return next;
    }

    /** Called when the connection is ready. This method and all methods below run on the event loop. */
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
        response = answer;
        answer.exceptionHandler(_ -> broken());
        guarded(() -> {
            if (answer.statusCode() == 200) {
                readLines(answer);
            } else {
                readRefusal(answer);
            }
        });
    }

    private void guarded(Parsing.Step step) {
        Parsing.guarded(framing == Framing.LINES ? "LineSplitter" : "EventSplitter", step, failure -> {
            finish(new Next.Broken(errors.failed(failure)));
            leave();
        });
    }

    private void readLines(HttpClientResponse answer) throws ContentDecoder.Undecodable {
        Cutter splitter = cutter();
        ContentDecoder decoder = ContentDecoder.of(answer.getHeader("Content-Encoding"));
        answer.handler(buffer -> guarded(() -> {
            if (over) {
                leave();
            } else if (!decoder.feed(buffer.getBytes(), piece -> isTaken(piece) && splitter.feed(piece))) {
                tooMuch();
            } else {
                lines.filled(buffer.length(), answer::pause, answer::resume);
            }
        }));
        answer.endHandler(_ -> {
            responseEnded = true;
            guarded(() -> {
                decoder.end();
                splitter.end();
                finish(new Next.Ended());
            });
        });
    }

    private void readRefusal(HttpClientResponse answer) {
        Buffer body = Buffer.buffer();
        answer.handler(buffer -> {
            if (body.length() < MAX_ERROR_BODY) {
                body.appendBuffer(buffer);
            } else {
                guarded(() -> refused(answer, body));
                leave();
            }
        });
        answer.endHandler(_ -> {
            responseEnded = true;
            guarded(() -> refused(answer, body));
        });
    }

    private void refused(HttpClientResponse answer, Buffer body) {
        finish(new Next.Broken(errors.refused(
                answer.statusCode(),
                ContentDecoder.text(answer.getHeader("Content-Encoding"), body.getBytes()),
                null)));
    }

    private boolean isTaken(byte[] piece) {
        taken += piece.length;
        return taken <= limits.pull();
    }

    private void tooMuch() {
        finish(new Next.Broken(errors.broken(
                taken > limits.pull()
                        ? "reported more than %d bytes about one pull (penstock.answers.max-pull)"
                                .formatted(limits.pull())
                        : "sent a status line of more than %d bytes".formatted(MAX_LINE))));
        leave();
    }

    private void resume() {
        Context context = loop;
        if (context != null) {
            context.runOnContext(_ -> {
                if (response != null) {
                    lines.resumed(response::resume);
                }
            });
        }
    }

    private Cutter cutter() {
        Consumer<String> line = text -> lines.add(new Next.Line(text));
        return switch (framing) {
            case LINES -> new LineSplitter(MAX_LINE, line);
            case EVENTS -> new EventSplitter(MAX_LINE, line, _ -> {});
        };
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
