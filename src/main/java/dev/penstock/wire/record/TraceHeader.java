package dev.penstock.wire.record;

import io.opentelemetry.api.trace.propagation.W3CTraceContextPropagator;
import io.opentelemetry.context.Context;
import io.opentelemetry.context.propagation.TextMapGetter;
import java.util.List;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/**
 * The header that continues a trace: on a job's record, on each event, and on a request to a node (W3C Trace
 * Context).
 */
public final class TraceHeader {
    public static final String NAME = "traceparent";

    private static final W3CTraceContextPropagator W3C = W3CTraceContextPropagator.getInstance();

    /** Reads only this header, and ignores {@code tracestate}. */
    private static final TextMapGetter<String> READ = new TextMapGetter<>() {
        @Override
        public Iterable<String> keys(String header) {
            return List.of(NAME);
        }

        @Override
        public @Nullable String get(@Nullable String header, String name) {
            return name.equals(NAME) ? header : null;
        }
    };

    private TraceHeader() {}

    /** Returns the context in a header; the root context if the header is invalid. */
    public static Context read(@Nullable String header) {
        return header == null ? Context.root() : W3C.extract(Context.root(), header, READ);
    }

    /** Returns a context as a header; null if it belongs to no trace. */
    public static @Nullable String of(Context context) {
        AtomicReference<@Nullable String> header = new AtomicReference<>();
        W3C.inject(context, header, (found, name, value) -> {
            if (found != null && name.equals(NAME)) {
                found.set(value);
            }
        });
        return header.get();
    }
}
