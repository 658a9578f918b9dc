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
 * The connections to one server. It keeps some for further requests and closes others after their answer. A server
 * may close a kept connection at the moment of its next use, without having seen the request. So if a kept connection
 * turns out to be dead before the answer begins, the request goes out once more on a new connection. Thread-safe.
 */
final class Connections implements AutoCloseable {
    /** Larger than any limit of slots: requests queue in the scheduler, never here. */
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

    /** One request and its answer, as the sender sees them. All methods run on the event loop of the connection. */
    interface Exchange {
        /** The connection is ready. It is called again if the request goes out once more. */
        void connected(HttpClientRequest request);

        /** The connection failed. */
        void connectFailed(Throwable cause);

        /** The status and the headers have arrived. */
        void answered(HttpClientResponse response);

        /** The connection was lost before that. */
        void connectionFailed(Throwable cause);

        /** Returns whether the sender has stopped waiting for the answer. */
        boolean isClosed();
    }

    /**
     * Sends a request.
     *
     * @param keep whether to use and keep a shared connection
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
        // a failure before the answer also fails the sending, and a later failure also fails the answer
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
