package dev.penstock.dispatch;

import io.opentelemetry.api.OpenTelemetry;
import io.opentelemetry.api.trace.Tracer;
import io.opentelemetry.api.trace.TracerProvider;
import jakarta.inject.Singleton;
import org.eclipse.microprofile.config.inject.ConfigProperty;

/**
 * Provides the tracer that creates the spans. If no exporter is configured ({@code settings.source.TraceExport}), this
 * tracer creates no new span, but uses the parent span itself. So the producer's own context reaches the node and each
 * event unchanged.
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
