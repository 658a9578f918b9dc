package dev.penstock.node;

import dev.penstock.job.JobFailure;
import dev.penstock.job.TokenEvent;
import io.vertx.core.Context;
import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpClientRequest;
import io.vertx.core.http.HttpClientResponse;
import java.net.UnknownHostException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;

/**
 * One answer as it is generated: filled by the event loop of its connection, read by the thread of its run. It always
 * ends with {@link TokenEvent.End} or {@link TokenEvent.Broken}. Closing it before that closes the connection, which is
 * how every server is told to stop.
 */
public final class UpstreamStream implements AutoCloseable {
    private static final int PAUSE_ABOVE = 1024;
    private static final int RESUME_BELOW = 128;
    private static final int MAX_LINE = 16 * 1024 * 1024;
    private static final int MAX_ERROR_BODY = 64 * 1024;
    private static final long LEAVE_AFTER_END_MILLIS = 1000;

    private final String who;
    private final Vertx vertx;
    private final WireProtocol.LineParser parser;
    private final LinkedBlockingQueue<Signal> signals = new LinkedBlockingQueue<>();
    private final AtomicBoolean closed = new AtomicBoolean();

    private volatile @Nullable Context loop;
    private volatile boolean paused;

    /* These belong to the event loop of the connection. */
    private @Nullable HttpClientRequest request;
    private @Nullable HttpClientResponse response;
    private boolean over;
    private boolean responseEnded;

    private sealed interface Signal {
        record Event(TokenEvent event) implements Signal {}

        record Wake() implements Signal {}
    }

    UpstreamStream(String who, Vertx vertx, WireProtocol.LineParser parser) {
        this.who = who;
        this.vertx = vertx;
        this.parser = parser;
    }

    /**
     * The next event.
     *
     * @param nanos how long to wait for it
     * @return null when the time ran out, or when {@link #wake} was called
     */
    public @Nullable TokenEvent next(long nanos) throws InterruptedException {
        Signal signal = signals.poll(nanos, TimeUnit.NANOSECONDS);
        if (signals.size() < RESUME_BELOW) {
            resume();
        }
        return signal instanceof Signal.Event(TokenEvent event) ? event : null;
    }

    /** Ends a {@link #next} that waits; from any thread. */
    public void wake() {
        signals.add(new Signal.Wake());
    }

    /** Leaves. Where the answer is not whole yet the connection is closed, and the server stops generating. */
    @Override
    public void close() {
        if (closed.compareAndSet(false, true)) {
            Context context = loop;
            if (context != null) {
                context.runOnContext(_ -> leave());
            }
        }
    }

    /** On the event loop: the connection is there. */
    void connected(HttpClientRequest connected) {
        request = connected;
        loop = vertx.getOrCreateContext();
        connected.exceptionHandler(this::connectionFailed);
        if (closed.get()) {
            leave();
        }
    }

    /** On the event loop: there is no connection. */
    void connectFailed(Throwable cause, String advice) {
        finish(new TokenEvent.Broken(
                JobFailure.of(JobFailure.Code.NODE_UNREACHABLE, ConnectErrors.say(who, cause, advice))));
    }

    /** On the event loop: the status and headers are there. */
    void answered(HttpClientResponse answer) {
        response = answer;
        if (answer.statusCode() == 200) {
            LineSplitter lines = new LineSplitter(MAX_LINE, line -> parser.line(line, this::offer));
            answer.handler(buffer -> {
                if (!lines.feed(buffer.getBytes())) {
                    finish(broken("sent a line of more than " + MAX_LINE + " bytes"));
                    leave();
                } else if (!paused && signals.size() > PAUSE_ABOVE) {
                    paused = true;
                    answer.pause();
                }
            });
            answer.endHandler(_ -> {
                responseEnded = true;
                lines.end();
                finish(broken("ended its stream before the answer was whole"));
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
                finish(new TokenEvent.Broken(ServerErrors.refused(who, answer.statusCode(), body.toString())));
            });
        }
        answer.exceptionHandler(this::connectionFailed);
    }

    /** On the event loop: the connection was lost. */
    void connectionFailed(Throwable cause) {
        responseEnded = true;
        finish(broken("closed the connection before the answer was whole"));
    }

    private TokenEvent broken(String what) {
        return new TokenEvent.Broken(JobFailure.of(JobFailure.Code.STREAM_BROKEN, who + " " + what));
    }

    private void offer(TokenEvent event) {
        if (event instanceof TokenEvent.End) {
            finish(event);
        } else if (event instanceof TokenEvent.Broken(JobFailure failure)) {
            finish(new TokenEvent.Broken(
                    new JobFailure(failure.code(), who + " " + failure.message(), failure.param(), failure.node())));
        } else if (!over) {
            signals.add(new Signal.Event(event));
        }
    }

    private void finish(TokenEvent last) {
        if (!over) {
            over = true;
            signals.add(new Signal.Event(last));
        }
    }

    /** On the event loop. After the end mark the server gets a moment to end its response: the connection is kept then. */
    private void leave() {
        HttpClientRequest sent = request;
        if (sent == null || responseEnded) {
            return;
        }
        if (over && response != null && response.statusCode() == 200) {
            response.resume();
            vertx.setTimer(LEAVE_AFTER_END_MILLIS, _ -> {
                if (!responseEnded) {
                    sent.reset();
                }
            });
        } else {
            over = true;
            sent.reset();
        }
    }

    private void resume() {
        Context context = loop;
        if (context != null && paused) {
            context.runOnContext(_ -> {
                if (paused && response != null) {
                    paused = false;
                    response.resume();
                }
            });
        }
    }

    /** How a connection that did not come about is told. */
    static final class ConnectErrors {
        private ConnectErrors() {}

        static String say(String who, Throwable cause, String advice) {
            String words = String.valueOf(cause.getMessage());
            if (cause instanceof UnknownHostException) {
                return who + " has a host name that is not known: " + words;
            }
            if (words.contains("onnection refused")) {
                return who + " refused the connection: is it running?" + advice;
            }
            return who + " could not be reached: " + ServerErrors.shorten(words) + advice;
        }
    }
}
