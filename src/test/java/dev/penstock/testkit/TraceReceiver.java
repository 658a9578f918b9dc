package dev.penstock.testkit;

import com.sun.net.httpserver.HttpServer;
import io.opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest;
import io.opentelemetry.proto.common.v1.AnyValue;
import io.opentelemetry.proto.common.v1.KeyValue;
import io.opentelemetry.proto.trace.v1.Status;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Predicate;
import java.util.stream.Collectors;

/** An OpenTelemetry collector, as far as an exporter knows: takes what is sent to it over HTTP, and keeps the spans. */
public final class TraceReceiver implements AutoCloseable {
    private final HttpServer server;

    /* Guarded by this. */
    private final List<Span> spans = new ArrayList<>();

    /**
     * A span as it was exported.
     *
     * @param service the resource's service.name
     * @param parentId empty: it is a root
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

    private TraceReceiver(HttpServer server) {
        this.server = server;
    }

    public static TraceReceiver start() {
        try {
            HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
            TraceReceiver receiver = new TraceReceiver(server);
            server.createContext("/v1/traces", exchange -> {
                receiver.add(ExportTraceServiceRequest.parseFrom(exchange.getRequestBody()));
                exchange.sendResponseHeaders(200, -1);
                exchange.close();
            });
            server.start();
            return receiver;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** What an exporter is told. */
    public String endpoint() {
        return "http://127.0.0.1:" + server.getAddress().getPort();
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

    /** In the order of their ends. */
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

    /** A trace as people read it: each span under its parent, with its attributes. */
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
        server.stop(0);
    }
}
