package dev.penstock.node;

import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpClient;
import io.vertx.core.http.HttpClientOptions;
import io.vertx.core.http.HttpClientRequest;
import io.vertx.core.http.HttpClientResponse;
import io.vertx.core.http.HttpClosedException;
import io.vertx.core.http.HttpConnection;
import io.vertx.core.http.PoolOptions;
import io.vertx.core.http.RequestOptions;
import java.nio.channels.ClosedChannelException;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The connections to one server: some are kept for further requests, others are closed after their answer. A request whose kept
 * connection turns out to be dead before the answer begins is sent once more, on a new one: a server may close a connection at the
 * very moment in which it is used again, and has not seen the request then. Thread-safe.
 */
final class Connections implements AutoCloseable {
    /** Larger than any limit of slots, so that it never queues: the line does. */
    private static final int POOL = 4096;

    private final HttpClient kept;
    private final HttpClient closing;
    /** Those that have carried a request. */
    private final Set<HttpConnection> used = ConcurrentHashMap.newKeySet();

    Connections(Vertx vertx, HttpClientOptions options) {
        PoolOptions pool = new PoolOptions().setHttp1MaxSize(POOL);
        kept = vertx.createHttpClient(options, pool);
        closing = vertx.createHttpClient(new HttpClientOptions(options).setKeepAlive(false), pool);
    }

    /** One request and its answer, as its sender sees it; called on the event loop of its connection. */
    interface Exchange {
        /** The connection is there; again, where the request is sent once more. */
        void connected(HttpClientRequest request);

        /** There is no connection. */
        void connectFailed(Throwable cause);

        /** The status and headers are there. */
        void answered(HttpClientResponse response);

        /** The connection was lost before that. */
        void connectionFailed(Throwable cause);

        /** Whether nothing waits for the answer any more. */
        boolean isClosed();
    }

    /**
     * Sends a request.
     *
     * @param keep whether its connection may be a used one, and be used again
     */
    void send(RequestOptions options, Buffer body, boolean keep, Exchange exchange) {
        (keep ? kept : closing)
                .request(options)
                .onFailure(cause -> {
                    if (keep && isDead(cause) && !exchange.isClosed()) {
                        send(options, body, false, exchange);
                    } else {
                        exchange.connectFailed(cause);
                    }
                })
                .onSuccess(request -> send(request, options, body, exchange));
    }

    private void send(HttpClientRequest request, RequestOptions options, Buffer body, Exchange exchange) {
        HttpConnection connection = request.connection();
        boolean fresh = used.add(connection);
        if (fresh) {
            connection.closeHandler(_ -> used.remove(connection));
        }
        // what fails before the answer fails the sending too, and what fails later the answer
        request.exceptionHandler(_ -> {});
        exchange.connected(request);
        (body.length() == 0 ? request.send() : request.send(body))
                .onSuccess(exchange::answered)
                .onFailure(cause -> {
                    if (!fresh && !exchange.isClosed()) {
                        send(options, body, false, exchange);
                    } else {
                        exchange.connectionFailed(cause);
                    }
                });
    }

    private static boolean isDead(Throwable cause) {
        return cause instanceof HttpClosedException || cause instanceof ClosedChannelException;
    }

    @Override
    public void close() {
        var _ = kept.close();
        var _ = closing.close();
    }
}
