package dev.penstock.node;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.settings.NodeSettings;
import dev.penstock.wire.Json;
import dev.penstock.wire.TraceHeader;
import io.opentelemetry.context.Context;
import io.vertx.core.Future;
import io.vertx.core.Promise;
import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpClient;
import io.vertx.core.http.HttpClientOptions;
import io.vertx.core.http.HttpClientRequest;
import io.vertx.core.http.HttpClientResponse;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.HttpVersion;
import io.vertx.core.http.PoolOptions;
import io.vertx.core.http.RequestOptions;
import io.vertx.core.tracing.TracingPolicy;
import java.net.URI;
import java.time.Duration;
import java.util.Iterator;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;

/**
 * The HTTP connections to one node. HTTP/1.1 only: vLLM answers 400 to an h2c upgrade. The pool is larger than any
 * limit of slots, so that it never queues: the line does.
 */
final class NodeClient implements Upstream {
    private static final int POOL = 4096;
    /** vLLM and llama-server close an idle connection after 5 s: leave before they do. */
    private static final int KEEP_ALIVE_SECONDS = 3;

    private final NodeSettings settings;
    private final WireProtocol protocol;
    private final NodeErrors errors;
    private final Vertx vertx;
    private final HttpClient http;
    private final URI url;
    private final boolean tls;

    NodeClient(NodeSettings settings, Vertx vertx, Duration connectTimeout) {
        this.settings = settings;
        this.vertx = vertx;
        protocol = WireProtocol.of(settings);
        errors = new NodeErrors(settings, protocol);
        url = settings.url();
        tls = "https".equals(url.getScheme());
        http = vertx.createHttpClient(
                new HttpClientOptions()
                        .setProtocolVersion(HttpVersion.HTTP_1_1)
                        .setConnectTimeout((int) connectTimeout.toMillis())
                        .setKeepAliveTimeout(KEEP_ALIVE_SECONDS)
                        .setSsl(tls)
                        .setVerifyHost(true)
                        .setTcpNoDelay(true)
                        // probes are in no trace, and an attempt has a span of its own
                        .setTracingPolicy(TracingPolicy.IGNORE)
                        .setDecompressionSupported(false),
                new PoolOptions().setHttp1MaxSize(POOL));
    }

    @Override
    public NodeSettings settings() {
        return settings;
    }

    @Override
    public String address() {
        return url.toString();
    }

    @Override
    public Node.ProbeResult probe() throws InterruptedException {
        return Probe.of(this);
    }

    int port() {
        return url.getPort();
    }

    WireProtocol protocol() {
        return protocol;
    }

    NodeErrors errors() {
        return errors;
    }

    /** Sends a request, in the trace that this thread is in, and returns its answer's stream at once. */
    @Override
    public UpstreamStream stream(Prompt prompt) throws WireProtocol.Unsupported {
        WireProtocol.Request request = protocol.request(prompt);
        UpstreamStream stream = new UpstreamStream(errors, vertx, prompt, protocol.parser(prompt), request.ignored());
        RequestOptions options = options(HttpMethod.POST, request.path());
        String traceparent = TraceHeader.of(Context.current());
        if (traceparent != null) {
            options.putHeader(TraceHeader.NAME, traceparent);
        }
        send(options, request.bodies().iterator(), stream);
        return stream;
    }

    private void send(RequestOptions options, Iterator<Buffer> bodies, UpstreamStream stream) {
        http.request(options).onFailure(stream::connectFailed).onSuccess(connected -> {
            Buffer body = bodies.next();
            stream.connected(connected, bodies.hasNext() ? () -> send(options, bodies, stream) : null);
            connected.putHeader("Content-Type", "application/json");
            connected.send(body).onSuccess(stream::answered).onFailure(stream::connectionFailed);
        });
    }

    /**
     * What a path answered.
     *
     * @param server what the server calls itself in its headers; empty: it does not say
     */
    record Reply(int status, String body, String server) {
        @Nullable
        JsonNode json() {
            return status == 200 ? Json.parseLenient(body) : null;
        }
    }

    /**
     * Asks a path and waits for the whole answer.
     *
     * @throws Unreachable with one line that says why there is none
     */
    Reply get(String path, Duration timeout) throws Unreachable, InterruptedException {
        return call(HttpMethod.GET, path, Buffer.buffer(), timeout);
    }

    /**
     * Sends a document and waits for the whole answer.
     *
     * @param json empty: there is none
     * @throws Unreachable with one line that says why there is no answer
     */
    Reply call(HttpMethod method, String path, Buffer json, Duration timeout) throws Unreachable, InterruptedException {
        Promise<HttpClientRequest> sent = Promise.promise();
        CompletableFuture<Reply> reply = http.request(options(method, path))
                .compose(request -> {
                    sent.complete(request);
                    // in here, on the event loop: a thread that is slow to say what comes next misses the answer
                    return send(request, json).compose(NodeClient::whole);
                })
                .toCompletionStage()
                .toCompletableFuture();
        try {
            return reply.get(timeout.toMillis(), TimeUnit.MILLISECONDS);
        } catch (ExecutionException e) {
            Throwable cause = e.getCause() == null ? e : e.getCause();
            throw new Unreachable(errors.unreachable(cause).message(), false);
        } catch (TimeoutException _) {
            var _ = sent.future().onSuccess(HttpClientRequest::reset);
            throw new Unreachable(errors.silent(path, timeout.toString()), true);
        }
    }

    /**
     * Sends a document and returns its answer's lines at once.
     *
     * @param json empty: there is none
     */
    LineFeed lines(HttpMethod method, String path, Buffer json) {
        LineFeed feed = new LineFeed(errors, vertx);
        http.request(options(method, path)).onFailure(feed::connectFailed).onSuccess(connected -> {
            feed.connected(connected);
            send(connected, json).onSuccess(feed::answered).onFailure(_ -> feed.broken());
        });
        return feed;
    }

    private static Future<HttpClientResponse> send(HttpClientRequest request, Buffer json) {
        return json.length() == 0
                ? request.send()
                : request.putHeader("Content-Type", "application/json").send(json);
    }

    private static Future<Reply> whole(HttpClientResponse response) {
        return response.body()
                .map(body -> new Reply(
                        response.statusCode(),
                        body.toString(),
                        Objects.requireNonNullElse(response.getHeader("Server"), "")));
    }

    private RequestOptions options(HttpMethod method, String path) {
        int port = url.getPort() > 0 ? url.getPort() : tls ? 443 : 80;
        RequestOptions options = new RequestOptions()
                .setMethod(method)
                .setHost(url.getHost())
                .setPort(port)
                .setURI(url.getRawPath() + path);
        protocol.headers(settings.apiKey()).forEach(options::putHeader);
        settings.headers().forEach(options::putHeader);
        return options;
    }

    @Override
    public void close() {
        var _ = http.close();
    }

    /** Nobody answered. */
    static final class Unreachable extends Exception {
        private final boolean timedOut;

        Unreachable(String message, boolean timedOut) {
            super(message);
            this.timedOut = timedOut;
        }

        boolean timedOut() {
            return timedOut;
        }

        String reason() {
            return String.valueOf(getMessage());
        }
    }
}
