package dev.penstock.testkit.upstream;

import dev.penstock.testkit.upstream.Answer.Content;
import dev.penstock.testkit.upstream.Answer.Ending;
import dev.penstock.testkit.upstream.Answer.How;
import io.netty.channel.EventLoop;
import io.netty.util.concurrent.ScheduledFuture;
import io.vertx.core.buffer.Buffer;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/** Sends one answer. The event loop of its connection owns it. */
final class Delivery {
    private static final Content.Text NO_TEXT =
            (Content.Text) Answer.tokens(List.of()).content();

    private final Outlet outlet;
    private final EventLoop loop;
    private final Dialect dialect;
    private final boolean streamed;
    private final boolean last;
    private final Answer answer;
    private final Content.Text text;
    private final Listener listener;

    private final Response response = new Response();
    private final StringBuilder reasoning = new StringBuilder();
    private final StringBuilder content = new StringBuilder();
    private int sent;
    private boolean headSent;
    private boolean over;
    private long nextDue;
    private @Nullable ScheduledFuture<?> timer;

    /**
     * Gets the tokens before they leave, and then the outcome once. After a complete answer it gets one more call
     * when all bytes have left.
     */
    interface Listener {
        void sends(int more, int soFar);

        void ended(Outcome outcome);

        void left(boolean close);
    }

    /** @param last whether to close the connection afterwards */
    Delivery(
            Outlet outlet,
            EventLoop loop,
            Dialect dialect,
            boolean streamed,
            boolean last,
            Answer answer,
            Listener listener) {
        this.outlet = outlet;
        this.loop = loop;
        this.dialect = dialect;
        this.streamed = streamed;
        this.last = last;
        this.answer = answer;
        this.text = answer.content() instanceof Content.Text said ? said : NO_TEXT;
        this.listener = listener;
    }

    void start() {
        outlet.begin(answer.pieces());
        after(answer.pace().firstByteNanos(), this::respond);
    }

    /** The connection is gone. */
    void cancel() {
        end(Outcome.CANCELLED);
    }

    /** The server leaves. */
    void drop() {
        end(Outcome.DROPPED);
        outlet.close();
    }

    private void respond() {
        if (answer.ending().tokens() == Ending.BEFORE_RESPONSE) {
            breakOff();
            return;
        }
        switch (answer.content()) {
            case Content.Raw(Buffer bytes) -> raw(bytes.getBytes());
            case Content.Refusal(int status, String message) ->
                after(answer.pace().firstTokenNanos(), () -> document(status, "", dialect.refusal(status, message)));
            case Content.Document(int status, String contentType, String body) ->
                after(answer.pace().firstTokenNanos(), () -> document(status, contentType, body));
            case Content.Text _ -> {
                if (streamed && dialect.headersAtOnce()) {
                    streamHead();
                }
                nextDue = System.nanoTime() + answer.pace().firstTokenNanos();
                sendDue();
            }
        }
    }

    /** Sends all due tokens together, each in its own chunk. */
    private void sendDue() {
        int limit = Math.min(answer.ending().tokens(), text.size());
        long now = System.nanoTime();
        int before = sent;
        while (sent < limit && nextDue <= now) {
            send();
            nextDue += answer.pace().betweenNanos().getAsLong();
        }
        if (sent > before) {
            listener.sends(sent - before, sent);
        }
        boolean endIsDueLater = answer.ending().whenNextIsDue()
                || (text.size() == 0 && answer.ending().how() == How.WHOLE);
        if (sent < limit || (endIsDueLater && nextDue > now)) {
            flush();
            after(nextDue - now, this::sendDue);
        } else {
            breakOff();
        }
    }

    private void send() {
        boolean thinking = sent < text.reasoning().size();
        String said = thinking
                ? text.reasoning().get(sent)
                : text.tokens().get(sent - text.reasoning().size());
        (thinking ? reasoning : content).append(said);
        sent++;
        if (streamed) {
            streamHead();
            boolean ends = answer.ending().how() == How.WHOLE && sent == text.size();
            response.chunks(dialect.token(new Dialect.Token(said, thinking), sent == 1, ends));
        }
    }

    private void breakOff() {
        switch (answer.ending().how()) {
            case WHOLE -> {
                if (streamed) {
                    streamHead();
                    finish(response.chunks(dialect.end(told(true))).lastChunk(), last);
                } else {
                    document(200, "", dialect.whole(told(true)));
                }
            }
            case NO_END_MARK -> {
                if (streamed) {
                    streamHead();
                    finish(response.lastChunk(), last);
                } else {
                    document(200, "", dialect.whole(told(false)));
                }
            }
            case ERROR -> {
                String message = answer.ending().message().isEmpty()
                        ? dialect.engineFailure()
                        : answer.ending().message();
                if (headSent) {
                    finish(response.chunks(dialect.failure(message)).lastChunk(), last);
                } else {
                    document(500, "", dialect.refusal(500, message));
                }
            }
            case STALL -> flush();
            case CLOSE -> outlet.write(response.take(), () -> end(Outcome.DROPPED), outlet::close);
            case RESET -> outlet.write(response.take(), () -> end(Outcome.DROPPED), outlet::reset);
        }
    }

    private Dialect.Told told(boolean complete) {
        int thought = Math.min(sent, text.reasoning().size());
        return new Dialect.Told(reasoning.toString(), content.toString(), thought, sent - thought, complete);
    }

    private void streamHead() {
        if (!headSent) {
            headSent = true;
            response.head(dialect.streamHead(last), answer.headers());
        }
    }

    private void document(int status, String contentType, String body) {
        int length = body.getBytes(StandardCharsets.UTF_8).length;
        response.head(
                dialect.head(status, contentType.isEmpty() ? dialect.json() : contentType, length, last),
                answer.headers());
        if (dialect.chunksDocument(length)) {
            response.chunk(body).lastChunk();
        } else {
            response.body(body);
        }
        finish(response, last);
    }

    private void raw(byte[] bytes) {
        response.raw(bytes);
        switch (answer.ending().how()) {
            case WHOLE, NO_END_MARK, ERROR -> finish(response, last || closesAfter(bytes));
            case STALL, CLOSE, RESET -> breakOff();
        }
    }

    private static boolean closesAfter(byte[] bytes) {
        String all = new String(bytes, StandardCharsets.ISO_8859_1);
        int end = all.indexOf("\r\n\r\n");
        String head = (end < 0 ? all : all.substring(0, end)).toLowerCase(Locale.ROOT);
        return head.contains("\nconnection: close")
                || (!head.contains("\ncontent-length:") && !head.contains("\ntransfer-encoding:"));
    }

    private void finish(Response rest, boolean close) {
        outlet.write(rest.take(), () -> end(Outcome.FINISHED), () -> listener.left(close));
    }

    private void flush() {
        if (!response.isEmpty()) {
            outlet.write(response.take());
        }
    }

    private void end(Outcome outcome) {
        if (!over) {
            over = true;
            if (timer != null) {
                timer.cancel(false);
            }
            listener.ended(outcome);
        }
    }

    private void after(long nanos, Runnable step) {
        if (nanos <= 0) {
            step.run();
        } else {
            timer = loop.schedule(
                    () -> {
                        if (!over) {
                            step.run();
                        }
                    },
                    nanos,
                    TimeUnit.NANOSECONDS);
        }
    }
}
