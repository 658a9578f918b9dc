package dev.penstock.dispatch;

import io.opentelemetry.api.OpenTelemetry;
import io.opentelemetry.api.trace.Tracer;
import io.opentelemetry.api.trace.TracerProvider;
import jakarta.inject.Singleton;
import org.eclipse.microprofile.config.inject.ConfigProperty;

/**
 * Makes the spans. Where traces are exported nowhere ({@code settings.TraceExport}) this tracer makes none: its span is
 * the parent itself, so that a producer's own context goes on to the node and to each event unchanged.
 */
@Singleton
public final class Traces {
    private final Tracer tracer;

    Traces(OpenTelemetry telemetry, @ConfigProperty(name = "quarkus.otel.sdk.disabled") boolean off) {
        tracer = (off ? TracerProvider.noop() : telemetry.getTracerProvider()).get("dev.penstock");
    }

    public Tracer tracer() {
        return tracer;
    }
}
