package dev.penstock.settings.source;

import io.smallrye.config.ConfigSourceInterceptor;
import io.smallrye.config.ConfigSourceInterceptorContext;
import io.smallrye.config.ConfigValue;
import io.smallrye.config.Priorities;
import jakarta.annotation.Priority;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Turns traces off until an endpoint is set. OpenTelemetry's own variables work like Quarkus's keys: for example,
 * OTEL_EXPORTER_OTLP_ENDPOINT sets {@code quarkus.otel.exporter.otlp.endpoint}. This interceptor runs outside the
 * interceptors for expressions and profiles (LIBRARY + 300). It runs inside the interceptors for Quarkus's fallbacks
 * from one key to another (LIBRARY + 400), so that the fallbacks see the values that this interceptor sets.
 */
@Priority(Priorities.LIBRARY + 350)
public final class TraceExport implements ConfigSourceInterceptor {
    private static final long serialVersionUID = 1L;
    private static final String QUARKUS = "quarkus.";
    private static final String DISABLED = "quarkus.otel.sdk.disabled";
    private static final List<String> ENDPOINTS =
            List.of("quarkus.otel.exporter.otlp.endpoint", "quarkus.otel.exporter.otlp.traces.endpoint");
    private static final Set<String> SHARED = Set.of(
            DISABLED,
            "quarkus.otel.exporter.otlp.endpoint",
            "quarkus.otel.exporter.otlp.headers",
            "quarkus.otel.exporter.otlp.protocol",
            "quarkus.otel.exporter.otlp.traces.endpoint",
            "quarkus.otel.exporter.otlp.traces.headers",
            "quarkus.otel.exporter.otlp.traces.protocol",
            "quarkus.otel.resource.attributes",
            "quarkus.otel.service.name",
            "quarkus.otel.traces.sampler.arg");

    @Override
    public @Nullable ConfigValue getValue(ConfigSourceInterceptorContext context, String name) {
        if (!SHARED.contains(name)) {
            return context.proceed(name);
        }
        ConfigValue explicit = explicit(context, name);
        if (explicit != null) {
            return explicit;
        }
        if (!name.equals(DISABLED)) {
            return context.proceed(name);
        }
        boolean somewhere = ENDPOINTS.stream().anyMatch(endpoint -> explicit(context, endpoint) != null);
        return ConfigValue.builder()
                .withName(name)
                .withValue(Boolean.toString(!somewhere))
                .build();
    }

    /** Returns a value that a user has set; null if there is only a default. */
    private static @Nullable ConfigValue explicit(ConfigSourceInterceptorContext context, String name) {
        ConfigValue value = context.proceed(name);
        if (isExplicit(value)) {
            return value;
        }
        ConfigValue own = context.proceed(name.substring(QUARKUS.length()));
        return isExplicit(own) ? own.withName(name) : null;
    }

    private static boolean isExplicit(@Nullable ConfigValue value) {
        return value != null
                && value.getConfigSourceOrdinal() > 0
                && value.getValue() != null
                && !value.getValue().isBlank();
    }
}
