package dev.penstock.node.http;

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
 * The connections to one server. It keeps some connections for further requests, and closes others after one answer. A
 * server may close a kept connection while the next request is being sent, so that it never sees this request. So if a
 * kept connection breaks before the answer begins, the request is sent once more on a new connection. Thread-safe.
 */
final class Connections implements AutoCloseable {
    /**
     * The largest number of connections. It is larger than any limit of slots, because requests must wait in the
     * scheduler and never in this pool.
     */
    private static final int POOL = 4096;

    private final HttpClient kept;
    private final HttpClient closing;
    /** The connections that have carried a request. */
    private final Set<HttpConnection> used = ConcurrentHashMap.newKeySet();

    Connections(Vertx vertx, HttpClientOptions options) {
        PoolOptions pool = new PoolOptions().setHttp1MaxSize(POOL);
        kept = vertx.createHttpClient(options, pool);
        closing = vertx.createHttpClient(new HttpClientOptions(options).setKeepAlive(false), pool);
    }

    /** The sender's side of one request and its answer. All methods run on the event loop of the connection. */
    interface Exchange {
        /** Called when the connection is ready, and again if the request is sent once more. */
        void connected(HttpClientRequest request);

        /** Called when no connection can be opened. */
        void connectFailed(Throwable cause);

        /** Called when the status and the headers have arrived. */
        void answered(HttpClientResponse response);

        /** Called when the connection is lost before the status and the headers have arrived. */
        void connectionFailed(Throwable cause);

        /** Returns whether the sender has stopped waiting for the answer. */
        boolean isClosed();
    }

    /**
     * Sends a request.
     *
     * @param keep whether to use a shared connection, and to keep it for further requests
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
        // ignored here: an early failure also fails the future of send, and a later failure also reaches the answer's
        // handler
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
