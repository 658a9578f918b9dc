package dev.penstock.settings.source;

import io.smallrye.config.ConfigSourceInterceptor;
import io.smallrye.config.ConfigSourceInterceptorContext;
import io.smallrye.config.ConfigValue;
import io.smallrye.config.Priorities;
import jakarta.annotation.Priority;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Activates one of the two databases at the start, according to {@code penstock.ledger.kind}. The build contains both.
 */
@Priority(Priorities.APPLICATION + 1)
public final class LedgerChoice implements ConfigSourceInterceptor {
    private static final long serialVersionUID = 1L;
    private static final Map<String, String> KINDS = Map.of(
            "quarkus.datasource.sqlite.active", "sqlite",
            "quarkus.flyway.sqlite.active", "sqlite",
            "quarkus.datasource.postgresql.active", "postgresql",
            "quarkus.flyway.postgresql.active", "postgresql");

    @Override
    public @Nullable ConfigValue getValue(ConfigSourceInterceptorContext context, String name) {
        String kind = KINDS.get(name);
        if (kind == null) {
            return context.proceed(name);
        }
        ConfigValue configured = context.proceed("penstock.ledger.kind");
        String given = configured == null ? null : configured.getValue();
        String chosen = given == null || given.isBlank() ? "sqlite" : given;
        return ConfigValue.builder()
                .withName(name)
                .withValue(Boolean.toString(chosen.equals(kind)))
                .build();
    }
}
