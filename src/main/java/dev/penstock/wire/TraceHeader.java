package dev.penstock.wire;

import io.opentelemetry.api.trace.propagation.W3CTraceContextPropagator;
import io.opentelemetry.context.Context;
import io.opentelemetry.context.propagation.TextMapGetter;
import java.util.List;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/** The header by which a trace goes on: of a job's record, of each event, and of a request to a node (W3C Trace Context). */
public final class TraceHeader {
    public static final String NAME = "traceparent";

    private static final W3CTraceContextPropagator W3C = W3CTraceContextPropagator.getInstance();

    /** Nobody's {@code tracestate} is carried. */
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

    /** The context that a header names; the root, where it is none. */
    public static Context read(@Nullable String header) {
        return header == null ? Context.root() : W3C.extract(Context.root(), header, READ);
    }

    /** A context as a header; null: it is in no trace. */
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
