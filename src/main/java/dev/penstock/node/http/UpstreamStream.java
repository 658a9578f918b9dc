package dev.penstock.node.http;

import dev.penstock.job.JobFailure;
import dev.penstock.job.TokenEvent;
import dev.penstock.node.protocol.Prompt;
import dev.penstock.node.protocol.answer.AnswerParser;
import dev.penstock.node.protocol.answer.Cutter;
import dev.penstock.node.protocol.answer.WholeCharacters;
import dev.penstock.node.upstream.TokenStream;
import dev.penstock.settings.Settings;
import io.vertx.core.Context;
import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpClientRequest;
import io.vertx.core.http.HttpClientResponse;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;

/**
 * The events of one answer, while a server generates it. The event loop of the connection adds the events. The thread
 * of the run reads them, and also parses an answer that is one whole document. The last event is always {@link
 * TokenEvent.End} or {@link TokenEvent.Broken}. Closing the stream earlier closes the connection, and then every server
 * stops generating.
 */
public final class UpstreamStream implements TokenStream {
    private static final int PAUSE_ABOVE = 1024;
    private static final int RESUME_BELOW = 128;
    private static final int PAUSE_ABOVE_BYTES = 1024 * 1024;
    /** The most bytes that a server may send after the end of its answer. */
    private static final int MOST_AFTER_END = 64 * 1024;

    private static final int MAX_ERROR_BODY = 64 * 1024;
    private static final long LEAVE_AFTER_END_MILLIS = 1000;

    private final NodeErrors errors;
    private final Vertx vertx;
    private final Prompt prompt;
    private final AnswerParser parser;
    private final List<String> ignored;
    private final Settings.Answers limits;
    private final ReadAhead<Signal> ahead =
            new ReadAhead<>(PAUSE_ABOVE, RESUME_BELOW, PAUSE_ABOVE_BYTES, Signal::weight);
    private final AtomicBoolean closed = new AtomicBoolean();
    private final WholeCharacters characters = new WholeCharacters(this::offer);

    private volatile @Nullable Context loop;

    /* The event loop of the connection owns these. */
    private @Nullable HttpClientRequest request;
    private @Nullable HttpClientResponse response;
    private @Nullable Runnable next;
    private boolean partIsWhole;
    private boolean over;
    private boolean responseEnded;
    private long taken;
    private long afterEnd;

    private sealed interface Signal {
        /** Returns the characters of a piece of the answer. No reader waits for more after anything else. */
        default int weight() {
            return this instanceof Event(TokenEvent event)
                            && !(event instanceof TokenEvent.End || event instanceof TokenEvent.Broken)
                    ? event.chars()
                    : Integer.MAX_VALUE;
        }

        record Event(TokenEvent event) implements Signal {}

        record Wake() implements Signal {}

        /** A whole document has arrived, which the reader must parse. */
        record Document() implements Signal {}
    }

    UpstreamStream(
            NodeErrors errors,
            Vertx vertx,
            Prompt prompt,
            AnswerParser parser,
            List<String> ignored,
            Settings.Answers limits) {
        this.limits = limits;
        this.errors = errors;
        this.vertx = vertx;
        this.prompt = prompt;
        this.parser = parser;
        this.ignored = List.copyOf(ignored);
    }

    @Override
    public List<String> ignoredParameters() {
        return ignored;
    }

    @Override
    public @Nullable TokenEvent next(long nanos, int chars) throws InterruptedException {
        long start = System.nanoTime();
        while (true) {
            Signal signal = ahead.take(nanos - (System.nanoTime() - start), chars);
            if (ahead.isToResume()) {
                resume();
            }
            if (signal instanceof Signal.Document) {
                read();
                continue;
            }
            return signal instanceof Signal.Event(TokenEvent event) ? event : null;
        }
    }

    @Override
    public void wake() {
        ahead.add(new Signal.Wake());
    }

    /** Ends the stream. If the answer is not complete, this closes the connection, and the server stops generating. */
    @Override
    public void close() {
        if (closed.compareAndSet(false, true)) {
            Context context = loop;
            if (context != null) {
                context.runOnContext(_ -> leave());
            }
        }
    }

    /**
     * Called on the event loop when the connection is ready.
     *
     * @param further sends the next part of the request after this part is answered; null if there is no further part
     */
    void connected(HttpClientRequest connected, @Nullable Runnable further) {
        request = connected;
        response = null;
        responseEnded = false;
        next = further;
        taken = 0;
        loop = vertx.getOrCreateContext();
        if (closed.get()) {
            leave();
        }
    }

    boolean isClosed() {
        return closed.get();
    }

    /** Called on the event loop when no connection can be opened. */
    void connectFailed(Throwable cause) {
        guarded("NodeErrors", () -> finish(new TokenEvent.Broken(errors.unreachable(cause))));
    }

    /** Runs a step on the event loop. If the step fails, the answer fails too. */
    private void guarded(String reader, Parsing.Step step) {
        Parsing.guarded(reader, step, failure -> {
            finish(new TokenEvent.Broken(errors.failed(failure)));
            leave();
        });
    }

    /** Called on the event loop when the status and the headers have arrived. */
    void answered(HttpClientResponse answer) {
        response = answer;
        answer.exceptionHandler(this::connectionFailed);
        guarded(parser.name(), () -> {
            if (answer.statusCode() == 200) {
                readAnswer(answer);
            } else {
                readRefusal(answer);
            }
        });
    }

    private void readAnswer(HttpClientResponse answer) throws ContentDecoder.Undecodable {
        boolean isDocument = parser.readsAtEnd();
        int longest = isDocument ? limits.embeddings() : limits.line();
        Cutter lines = parser.cutter(longest, characters);
        ContentDecoder decoder = ContentDecoder.of(answer.getHeader("Content-Encoding"));
        answer.handler(buffer -> guarded(parser.name(), () -> {
            if (over) {
                passOver(buffer);
            } else if (!decoder.feed(buffer.getBytes(), piece -> isTaken(piece, isDocument) && lines.feed(piece))) {
                finish(broken(tooMuch(isDocument)));
                cutOff();
            } else {
                ahead.filled(buffer.length(), answer::pause, answer::resume);
            }
        }));
        answer.endHandler(_ -> {
            responseEnded = true;
            guarded(parser.name(), () -> {
                decoder.end();
                lines.end();
                if (parser.readsAtEnd() && !over) {
                    ahead.add(new Signal.Document());
                    return;
                }
                parser.end(characters);
                partEnded();
            });
        });
    }

    private void readRefusal(HttpClientResponse answer) {
        Buffer body = Buffer.buffer();
        Runnable refused = () -> guarded(
                "ServerErrors",
                () -> finish(new TokenEvent.Broken(errors.refused(
                        answer.statusCode(),
                        ContentDecoder.text(answer.getHeader("Content-Encoding"), body.getBytes()),
                        prompt,
                        RetryAfter.of(answer::getHeader, Instant.now())))));
        answer.handler(buffer -> {
            if (body.length() < MAX_ERROR_BODY) {
                body.appendBuffer(buffer);
            } else {
                refused.run();
                cutOff();
            }
        });
        answer.endHandler(_ -> {
            responseEnded = true;
            refused.run();
        });
    }

    /** Called on the event loop. Adds a piece to the answer's size, and returns whether this size is still allowed. */
    private boolean isTaken(byte[] piece, boolean isDocument) {
        taken += piece.length;
        return taken <= (isDocument ? limits.embeddings() : limits.bytes());
    }

    private String tooMuch(boolean isDocument) {
        if (isDocument) {
            return "sent a document of more than %d bytes (penstock.answers.max-embeddings)"
                    .formatted(limits.embeddings());
        }
        return taken > limits.bytes()
                ? "sent more than %d bytes in one answer (penstock.answers.max-bytes)".formatted(limits.bytes())
                : "sent a line of more than %d bytes (penstock.answers.max-line)".formatted(limits.line());
    }

    /**
     * Called on the event loop if the answer has ended, but the server's response has not. Discards the bytes that
     * follow. If there are too many, the connection is closed.
     */
    private void passOver(Buffer buffer) {
        afterEnd += buffer.length();
        if (afterEnd > MOST_AFTER_END) {
            cutOff();
        }
    }

    /** Closes the connection if the response has not ended; called on the event loop. */
    private void cutOff() {
        HttpClientRequest sent = request;
        over = true;
        if (sent != null && !responseEnded) {
            responseEnded = true;
            sent.reset();
        }
    }

    /** Called on the event loop after one response is read. */
    private void partEnded() {
        Runnable further = next;
        if (partIsWhole && further != null && !closed.get()) {
            partIsWhole = false;
            further.run();
            return;
        }
        finish(broken("ended its stream before the answer was whole"));
    }

    /**
     * Called on the thread of the run. Parses the document that has arrived, and passes its events to the event loop.
     */
    private void read() {
        List<TokenEvent> parsed = new ArrayList<>();
        List<JobFailure> broken = new ArrayList<>();
        Parsing.guarded(parser.name(), () -> parser.end(parsed::add), broken::add);
        Context context = loop;
        if (context != null) {
            context.runOnContext(_ -> guarded(parser.name(), () -> {
                parsed.forEach(this::offer);
                broken.forEach(failure -> finish(new TokenEvent.Broken(errors.failed(failure))));
                partEnded();
            }));
        }
    }

    /** Called on the event loop when the connection is lost. */
    void connectionFailed(Throwable cause) {
        responseEnded = true;
        finish(broken("closed the connection before the answer was whole"));
    }

    private TokenEvent broken(String what) {
        return new TokenEvent.Broken(errors.broken(what));
    }

    private void offer(TokenEvent event) {
        if (event instanceof TokenEvent.End && next != null) {
            partIsWhole = true;
        } else if (event instanceof TokenEvent.End) {
            finish(event);
        } else if (event instanceof TokenEvent.Broken(JobFailure failure)) {
            finish(new TokenEvent.Broken(errors.failed(failure)));
        } else if (!over) {
            ahead.add(new Signal.Event(event));
        }
    }

    private void finish(TokenEvent last) {
        if (!over) {
            over = true;
            ahead.add(new Signal.Event(last));
        }
    }

    /**
     * Called on the event loop. After the end mark the server gets a moment to end its response, so that the
     * connection can be kept.
     */
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
        if (context != null) {
            context.runOnContext(_ -> {
                if (response != null) {
                    ahead.resumed(response::resume);
                }
            });
        }
    }
}
