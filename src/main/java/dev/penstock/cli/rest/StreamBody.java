package dev.penstock.cli.rest;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Flow;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * The body of a response. One thread reads it piece by piece, and waits a limited time for each piece. The body
 * requests one piece at a time.
 */
public final class StreamBody implements HttpResponse.BodySubscriber<StreamBody>, AutoCloseable {
    private final LinkedBlockingQueue<Piece> pieces = new LinkedBlockingQueue<>();
    private volatile Flow.@Nullable Subscription subscription;
    private volatile boolean closed;

    private sealed interface Piece {
        record Some(ByteBuffer bytes) implements Piece {}

        record End() implements Piece {}

        record Broken(Throwable cause) implements Piece {}
    }

    /** Returns the next bytes, or null at the end. Throws if no bytes come in time. */
    public @Nullable ByteBuffer next(Duration atMost) throws IOException, InterruptedException {
        Piece piece = pieces.poll(atMost.toMillis(), TimeUnit.MILLISECONDS);
        return switch (piece) {
            case null -> throw new IOException("nothing came for %d s".formatted(atMost.toSeconds()));
            case Piece.Some(ByteBuffer bytes) -> {
                Flow.Subscription from = subscription;
                if (from != null) {
                    from.request(1);
                }
                yield bytes;
            }
            case Piece.End() -> null;
            case Piece.Broken(Throwable cause) -> throw new IOException("the connection broke", cause);
        };
    }

    /** Returns a short body as a whole. */
    public byte[] whole(Duration atMostEach) throws IOException, InterruptedException {
        ByteArrayOutputStream whole = new ByteArrayOutputStream();
        for (ByteBuffer piece = next(atMostEach); piece != null; piece = next(atMostEach)) {
            byte[] some = new byte[piece.remaining()];
            piece.get(some);
            whole.writeBytes(some);
        }
        return whole.toByteArray();
    }

    @Override
    public CompletionStage<StreamBody> getBody() {
        return CompletableFuture.completedFuture(this);
    }

    @Override
    public void onSubscribe(Flow.Subscription newSubscription) {
        subscription = newSubscription;
        if (closed) {
            newSubscription.cancel();
        } else {
            newSubscription.request(1);
        }
    }

    @Override
    public void onNext(List<ByteBuffer> buffers) {
        ByteBuffer together = ByteBuffer.allocate(
                buffers.stream().mapToInt(ByteBuffer::remaining).sum());
        buffers.forEach(together::put);
        pieces.add(new Piece.Some(together.flip()));
    }

    @Override
    public void onError(Throwable cause) {
        pieces.add(new Piece.Broken(cause));
    }

    @Override
    public void onComplete() {
        pieces.add(new Piece.End());
    }

    @Override
    public void close() {
        closed = true;
        Flow.Subscription from = subscription;
        if (from != null) {
            from.cancel();
        }
    }
}
