package dev.penstock.node.http;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.node.protocol.Prompt;
import dev.penstock.node.protocol.WireProtocol;
import dev.penstock.node.signals.Scrape;
import dev.penstock.node.signals.SignalSource;
import dev.penstock.node.signals.Signals;
import dev.penstock.node.upstream.ProbeResult;
import dev.penstock.node.upstream.Upstream;
import dev.penstock.settings.Backend;
import dev.penstock.settings.NodeSettings;
import dev.penstock.settings.Settings;
import dev.penstock.wire.Json;
import dev.penstock.wire.record.TraceHeader;
import io.opentelemetry.context.Context;
import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpClientOptions;
import io.vertx.core.http.HttpClientRequest;
import io.vertx.core.http.HttpClientResponse;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.HttpVersion;
import io.vertx.core.http.RequestOptions;
import io.vertx.core.tracing.TracingPolicy;
import java.io.IOException;
import java.net.URI;
import java.time.Duration;
import java.time.Instant;
import java.util.Iterator;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** Sends the HTTP requests to one node. It uses only HTTP/1.1, because vLLM answers an h2c upgrade with status 400. */
public final class NodeClient implements Upstream, Probe.Server {
    /**
     * The name of llama-server in its headers. This server closes the connection after each streamed answer, although
     * its headers promise to keep the connection open.
     */
    private static final String LLAMA_SERVER = "llama.cpp";

    /** Less than 5 s, because vLLM and llama-server close an idle connection after 5 s. */
    private static final int KEEP_ALIVE_SECONDS = 3;

    private static final Duration SCRAPE_WITHIN = Duration.ofMillis(1_500);

    private final NodeSettings settings;
    private final WireProtocol protocol;
    private final NodeErrors errors;
    private final Vertx vertx;
    private final Settings.Answers limits;
    private final Connections connections;
    private final URI url;
    private final boolean tls;
    private volatile Consumer<Duration> onUsedUp = _ -> {};
    /** Whether the server closes a connection after a streamed answer. */
    private volatile boolean endsStreamed;

    public NodeClient(NodeSettings settings, Vertx vertx, Duration connectTimeout) {
        this(settings, vertx, connectTimeout, Settings.Answers.USUAL);
    }

    /** @param limits the limits for the size of the server's answers */
    public NodeClient(NodeSettings settings, Vertx vertx, Duration connectTimeout, Settings.Answers limits) {
        this.settings = settings;
        this.vertx = vertx;
        this.limits = limits;
        protocol = WireProtocol.of(settings);
        errors = new NodeErrors(settings, protocol);
        url = settings.url();
        tls = "https".equals(url.getScheme());
        endsStreamed = settings.backend() == Backend.LLAMA_SERVER;
        connections = new Connections(
                vertx,
                new HttpClientOptions()
                        .setProtocolVersion(HttpVersion.HTTP_1_1)
                        .setConnectTimeout((int) connectTimeout.toMillis())
                        .setKeepAliveTimeout(KEEP_ALIVE_SECONDS)
                        .setSsl(tls)
                        .setVerifyHost(true)
                        .setTcpNoDelay(true)
                        // Vert.x creates no spans: probes belong to no trace, and an attempt already has a span
                        .setTracingPolicy(TracingPolicy.IGNORE)
                        .setDecompressionSupported(false));
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
    public ProbeResult probe() throws InterruptedException {
        return Probe.of(this);
    }

    @Override
    public Scrape scrape() throws InterruptedException {
        String failed = null;
        for (SignalSource source : protocol.signalSources()) {
            try {
                Reply reply = get(source.path(), SCRAPE_WITHIN);
                Optional<Signals> read = reply.status() == 200 ? source.read(reply.body()) : Optional.empty();
                if (read.isPresent()) {
                    return new Scrape.Seen(source, read.get());
                }
                failed = reply.status() == 200
                        ? source.path() + " lacks the figures"
                        : "%s answered with status %d".formatted(source.path(), reply.status());
            } catch (Unreachable e) {
                return new Scrape.Failed(e.reason());
            }
        }
        return failed == null ? new Scrape.None() : new Scrape.Failed(failed);
    }

    @Override
    public WireProtocol protocol() {
        return protocol;
    }

    @Override
    public NodeErrors errors() {
        return errors;
    }

    /** Sends a request as part of this thread's trace. Returns the stream of its answer at once. */
    @Override
    public UpstreamStream stream(Prompt prompt) throws WireProtocol.Unsupported {
        WireProtocol.Request request = protocol.request(prompt);
        UpstreamStream stream =
                new UpstreamStream(errors, vertx, prompt, protocol.parser(prompt), request.ignored(), limits);
        RequestOptions options = options(HttpMethod.POST, request.path());
        String traceparent = TraceHeader.of(Context.current());
        if (traceparent != null) {
            options.putHeader(TraceHeader.NAME, traceparent);
        }
        send(options, request.bodies().iterator(), stream);
        return stream;
    }

    @Override
    public WireProtocol.Continues continues(Prompt prompt, String text) {
        return protocol.continues(prompt, text);
    }

    @Override
    public OptionalLong countTokens(Prompt prompt) throws InterruptedException {
        return TokenCount.at(this, prompt);
    }

    private void send(RequestOptions options, Iterator<Buffer> bodies, UpstreamStream stream) {
        Buffer body = bodies.next();
        Runnable further = bodies.hasNext() ? () -> send(options, bodies, stream) : null;
        options.putHeader("Content-Type", "application/json");
        connections.send(options, body, !endsStreamed, new Connections.Exchange() {
            @Override
            public void connected(HttpClientRequest request) {
                stream.connected(request, further);
            }

            @Override
            public void connectFailed(Throwable cause) {
                stream.connectFailed(cause);
            }

            @Override
            public void answered(HttpClientResponse response) {
                learn(response);
                stream.answered(response);
            }

            @Override
            public void connectionFailed(Throwable cause) {
                stream.connectionFailed(cause);
            }

            @Override
            public boolean isClosed() {
                return stream.isClosed();
            }
        });
    }

    /**
     * Learns from the headers whether the server is a llama-server, because a node with another backend may be one too,
     * and whether a limit of the server is used up.
     */
    private void learn(HttpClientResponse response) {
        if (!endsStreamed && LLAMA_SERVER.equals(response.getHeader("Server"))) {
            endsStreamed = true;
        }
        Duration reset = RateLimits.untilReset(response::getHeader, Instant.now());
        if (reset != null) {
            onUsedUp.accept(reset);
        }
    }

    @Override
    public void onUsedUp(Consumer<Duration> listener) {
        onUsedUp = listener;
    }

    /**
     * The whole answer to a request.
     *
     * @param server the server's name in its headers; empty if it gives none
     */
    public record Reply(int status, String body, String server) {
        public @Nullable JsonNode json() {
            return status == 200 ? Json.parseLenient(body) : null;
        }
    }

    /**
     * Requests a path and waits for the whole answer.
     *
     * @throws Unreachable with the reason in one line
     */
    @Override
    public Reply get(String path, Duration timeout) throws Unreachable, InterruptedException {
        return call(HttpMethod.GET, path, Buffer.buffer(), timeout);
    }

    /**
     * Sends a document and waits for the whole answer.
     *
     * @param json the document; empty to send no body
     * @throws Unreachable with the reason in one line
     */
    public Reply call(HttpMethod method, String path, Buffer json, Duration timeout)
            throws Unreachable, InterruptedException {
        Call call = new Call(limits.listing());
        connections.send(options(method, path, json), json, true, call);
        CompletableFuture<Reply> reply = call.reply;
        try {
            return reply.get(timeout.toMillis(), TimeUnit.MILLISECONDS);
        } catch (ExecutionException e) {
            Throwable cause = e.getCause() == null ? e : e.getCause();
            if (cause instanceof TooMuch) {
                throw new Unreachable(
                        errors.broken(cause.getMessage() + " to " + path).message(), false);
            }
            throw new Unreachable(errors.unreachable(cause).message(), false);
        } catch (TimeoutException _) {
            throw new Unreachable(errors.timedOut(path, timeout.toString()), true);
        } finally {
            call.close();
        }
    }

    /** The answer exceeds the largest expected size. */
    private static final class TooMuch extends Exception {
        TooMuch(int most) {
            super("answered with more than %d bytes (penstock.answers.max-listing)".formatted(most));
        }
    }

    /** A request that waits for its whole answer. */
    private static final class Call implements Connections.Exchange, AutoCloseable {
        private final CompletableFuture<Reply> reply = new CompletableFuture<>();
        private final int most;
        private volatile @Nullable HttpClientRequest request;
        private volatile boolean closed;

        Call(int most) {
            this.most = most;
        }

        @Override
        public void connected(HttpClientRequest connected) {
            request = connected;
            if (closed) {
                var _ = connected.reset();
            }
        }

        @Override
        public void connectFailed(Throwable cause) {
            reply.completeExceptionally(cause);
        }

        @Override
        public void answered(HttpClientResponse response) {
            // registers the handlers here on the event loop, because another thread might register them too late for
            // the answer
            Buffer body = Buffer.buffer();
            response.handler(piece -> {
                if (body.length() + piece.length() <= most) {
                    body.appendBuffer(piece);
                } else if (reply.completeExceptionally(new TooMuch(most))) {
                    HttpClientRequest sent = request;
                    if (sent != null) {
                        var _ = sent.reset();
                    }
                }
            });
            response.endHandler(_ -> Parsing.guarded(
                    "ContentDecoder",
                    () -> reply.complete(new Reply(
                            response.statusCode(),
                            ContentDecoder.text(response.getHeader("Content-Encoding"), body.getBytes()),
                            Objects.requireNonNullElse(response.getHeader("Server"), ""))),
                    failure -> reply.completeExceptionally(new IOException(failure.message()))));
            response.exceptionHandler(reply::completeExceptionally);
        }

        @Override
        public void connectionFailed(Throwable cause) {
            reply.completeExceptionally(cause);
        }

        @Override
        public boolean isClosed() {
            return closed;
        }

        /** Closes the connection if the answer is not complete. */
        @Override
        public void close() {
            closed = true;
            HttpClientRequest sent = request;
            if (sent != null && !reply.isDone()) {
                var _ = sent.reset();
            }
        }
    }

    /**
     * Sends a document. Returns at once a feed of the lines of its answer.
     *
     * @param json the document; empty to send no body
     */
    public LineFeed lines(HttpMethod method, String path, Buffer json) {
        return feed(method, path, json, LineFeed.Framing.LINES);
    }

    /** Requests server-sent events from a path. Returns at once a feed, in which each line is the data of one event. */
    public LineFeed events(String path) {
        return feed(HttpMethod.GET, path, Buffer.buffer(), LineFeed.Framing.EVENTS);
    }

    private LineFeed feed(HttpMethod method, String path, Buffer json, LineFeed.Framing framing) {
        LineFeed feed = new LineFeed(errors, vertx, framing, limits);
        connections.send(options(method, path, json), json, !endsStreamed, feed);
        return feed;
    }

    private RequestOptions options(HttpMethod method, String path, Buffer json) {
        RequestOptions options = options(method, path);
        return json.length() == 0 ? options : options.putHeader("Content-Type", "application/json");
    }

    private RequestOptions options(HttpMethod method, String path) {
        int port = url.getPort() > 0 ? url.getPort() : tls ? 443 : 80;
        RequestOptions options = new RequestOptions()
                .setMethod(method)
                .setHost(url.getHost())
                .setPort(port)
                .setURI(BaseAddress.path(url, path));
        protocol.headers(settings.apiKey()).forEach(options::putHeader);
        settings.headers().forEach(options::putHeader);
        return options;
    }

    @Override
    public void close() {
        connections.close();
    }

    /** The server did not answer. */
    public static final class Unreachable extends Exception {
        private final boolean timedOut;

        public Unreachable(String message, boolean timedOut) {
            super(message);
            this.timedOut = timedOut;
        }

        public boolean timedOut() {
            return timedOut;
        }

        public String reason() {
            return String.valueOf(getMessage());
        }
    }
}
