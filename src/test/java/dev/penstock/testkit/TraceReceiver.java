package dev.penstock.testkit;

import io.opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest;
import io.opentelemetry.proto.common.v1.AnyValue;
import io.opentelemetry.proto.common.v1.KeyValue;
import io.opentelemetry.proto.trace.v1.Status;
import io.vertx.core.Vertx;
import io.vertx.core.VertxOptions;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.file.FileSystemOptions;
import io.vertx.core.http.HttpServer;
import io.vertx.core.http.HttpServerOptions;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.http.HttpServerResponse;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import java.util.zip.GZIPInputStream;

/** An OpenTelemetry collector, from an exporter's view. It accepts spans over HTTP or gRPC, and keeps them. */
public final class TraceReceiver implements AutoCloseable {
    /** A flag for compression, and four bytes of length. */
    private static final int FRAME_HEADER = 5;

    private final Vertx vertx;
    private final HttpServer server;

    /* Guarded by this. */
    private final List<Span> spans = new ArrayList<>();

    /**
     * An exported span.
     *
     * @param service the resource's service.name
     * @param parentId empty for a root
     * @param attributes by name, lists joined by commas
     * @param links the ids of the spans that it links to, as trace-span
     */
    public record Span(
            String service,
            String scope,
            String traceId,
            String spanId,
            String parentId,
            String kind,
            String name,
            long startNanos,
            long endNanos,
            Map<String, String> attributes,
            List<String> links,
            boolean failed) {
        public String attribute(String attribute) {
            return attributes.getOrDefault(attribute, "");
        }
    }

    /** Like a collector's port, each receiver accepts only one of the two. */
    private enum Protocol {
        HTTP("/v1/traces", "application/x-protobuf"),
        GRPC("/opentelemetry.proto.collector.trace.v1.TraceService/Export", "application/grpc");

        private final String path;
        private final String contentType;

        Protocol(String path, String contentType) {
            this.path = path;
            this.contentType = contentType;
        }
    }

    private TraceReceiver(Protocol protocol) {
        vertx = Vertx.vertx(new VertxOptions()
                .setEventLoopPoolSize(1)
                .setWorkerPoolSize(1)
                .setInternalBlockingPoolSize(1)
                .setFileSystemOptions(
                        new FileSystemOptions().setFileCachingEnabled(false).setClassPathResolvingEnabled(false)));
        // without TLS it accepts HTTP/1.1, and HTTP/2 from a client that begins with it
        server = vertx.createHttpServer(
                        new HttpServerOptions().setHost("127.0.0.1").setPort(0))
                .requestHandler(request -> request.bodyHandler(body -> answer(protocol, request, body)))
                .listen()
                .toCompletionStage()
                .toCompletableFuture()
                .join();
    }

    /** Starts a receiver for OTLP over HTTP. */
    public static TraceReceiver start() {
        return new TraceReceiver(Protocol.HTTP);
    }

    /** Starts a receiver for OTLP over gRPC, without TLS. */
    public static TraceReceiver startGrpc() {
        return new TraceReceiver(Protocol.GRPC);
    }

    /** Returns the address for an exporter. */
    public String endpoint() {
        return "http://127.0.0.1:" + server.actualPort();
    }

    private void answer(Protocol protocol, HttpServerRequest request, Buffer body) {
        HttpServerResponse response = request.response();
        if (!protocol.path.equals(request.path())) {
            response.setStatusCode(404).end();
            return;
        }
        response.putHeader("content-type", protocol.contentType);
        switch (protocol) {
            case HTTP -> {
                add(read(body, false));
                // an empty message has no bytes
                response.end();
            }
            case GRPC -> {
                add(read(body.getBuffer(FRAME_HEADER, FRAME_HEADER + body.getInt(1)), body.getByte(0) == 1));
                response.setChunked(true).putTrailer("grpc-status", "0").end(Buffer.buffer(new byte[FRAME_HEADER]));
            }
        }
    }

    private static ExportTraceServiceRequest read(Buffer message, boolean zipped) {
        try (InputStream bytes = new ByteArrayInputStream(message.getBytes());
                InputStream plain = zipped ? new GZIPInputStream(bytes) : bytes) {
            return ExportTraceServiceRequest.parseFrom(plain);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private synchronized void add(ExportTraceServiceRequest request) {
        request.getResourceSpansList()
                .forEach(resource -> resource.getScopeSpansList()
                        .forEach(scope -> scope.getSpansList()
                                .forEach(span -> spans.add(new Span(
                                        attributes(resource.getResource().getAttributesList())
                                                .getOrDefault("service.name", ""),
                                        scope.getScope().getName(),
                                        hex(span.getTraceId().toByteArray()),
                                        hex(span.getSpanId().toByteArray()),
                                        hex(span.getParentSpanId().toByteArray()),
                                        span.getKind().name().replace("SPAN_KIND_", ""),
                                        span.getName(),
                                        span.getStartTimeUnixNano(),
                                        span.getEndTimeUnixNano(),
                                        attributes(span.getAttributesList()),
                                        span.getLinksList().stream()
                                                .map(link -> hex(link.getTraceId()
                                                                .toByteArray()) + "-"
                                                        + hex(link.getSpanId().toByteArray()))
                                                .toList(),
                                        span.getStatus().getCode() == Status.StatusCode.STATUS_CODE_ERROR)))));
        notifyAll();
    }

    private static String hex(byte[] id) {
        return HexFormat.of().formatHex(id);
    }

    private static Map<String, String> attributes(List<KeyValue> pairs) {
        Map<String, String> attributes = new TreeMap<>();
        pairs.forEach(pair -> attributes.put(pair.getKey(), text(pair.getValue())));
        return attributes;
    }

    private static String text(AnyValue value) {
        return switch (value.getValueCase()) {
            case STRING_VALUE -> value.getStringValue();
            case INT_VALUE -> Long.toString(value.getIntValue());
            case DOUBLE_VALUE -> Double.toString(value.getDoubleValue());
            case BOOL_VALUE -> Boolean.toString(value.getBoolValue());
            case ARRAY_VALUE ->
                value.getArrayValue().getValuesList().stream()
                        .map(TraceReceiver::text)
                        .collect(Collectors.joining(","));
            case KVLIST_VALUE, BYTES_VALUE, VALUE_NOT_SET -> value.toString();
        };
    }

    /** Returns the spans in the order of their ends. */
    public synchronized List<Span> spans() {
        return List.copyOf(spans);
    }

    public synchronized Span await(Predicate<Span> fits, Duration patience) throws InterruptedException {
        long until = System.nanoTime() + patience.toNanos();
        Optional<Span> found = spans.stream().filter(fits).findFirst();
        while (found.isEmpty()) {
            long left = until - System.nanoTime();
            if (left <= 0) {
                throw new AssertionError("no such span within " + patience + ", but " + spans);
            }
            wait(Math.max(1, left / 1_000_000));
            found = spans.stream().filter(fits).findFirst();
        }
        return found.get();
    }

    /** Returns a readable trace: each span under its parent, with its attributes. */
    public static String drawn(List<Span> spans) {
        StringBuilder drawing = new StringBuilder();
        List<String> ids = spans.stream().map(Span::spanId).toList();
        long begin = spans.stream().mapToLong(Span::startNanos).min().orElse(0);
        spans.stream()
                .filter(span -> !ids.contains(span.parentId()))
                .sorted((a, b) -> Long.compare(a.startNanos(), b.startNanos()))
                .forEach(root -> draw(root, spans, begin, 0, drawing));
        return drawing.toString();
    }

    private static void draw(Span span, List<Span> all, long begin, int depth, StringBuilder drawing) {
        String indent = "    ".repeat(depth);
        drawing.append("%s%s  (%s, span %s, from %.1f ms, %.1f ms)%s%n"
                .formatted(
                        indent,
                        span.name(),
                        span.kind(),
                        span.spanId(),
                        (span.startNanos() - begin) / 1e6,
                        (span.endNanos() - span.startNanos()) / 1e6,
                        span.links().isEmpty() ? "" : "  links to " + String.join(", ", span.links())));
        span.attributes()
                .forEach((name, value) -> drawing.append(indent)
                        .append("  ")
                        .append(name)
                        .append(" = ")
                        .append(value)
                        .append('\n'));
        all.stream()
                .filter(child -> child.parentId().equals(span.spanId()))
                .sorted((a, b) -> Long.compare(a.startNanos(), b.startNanos()))
                .forEach(child -> draw(child, all, begin, depth + 1, drawing));
    }

    @Override
    public void close() {
        vertx.close().toCompletionStage().toCompletableFuture().join();
    }
}
