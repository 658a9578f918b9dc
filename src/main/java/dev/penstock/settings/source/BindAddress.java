package dev.penstock.settings.source;

import io.smallrye.config.ConfigSourceInterceptor;
import io.smallrye.config.ConfigSourceInterceptorContext;
import io.smallrye.config.ConfigValue;
import io.smallrye.config.Priorities;
import jakarta.annotation.Priority;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Sets the addresses of the API and of the management port. If {@code penstock.auth.mode} is not set, the operator has
 * not decided who may call. Then both listen on loopback only. This interceptor runs outside SmallRye's own
 * interceptors (LIBRARY), which resolve the keys of profiles and the expressions in <code>${}</code>.
 */
@Priority(Priorities.APPLICATION)
public final class BindAddress implements ConfigSourceInterceptor {
    private static final long serialVersionUID = 1L;
    private static final Set<String> HOSTS = Set.of("quarkus.http.host", "quarkus.management.host");

    @Override
    public @Nullable ConfigValue getValue(ConfigSourceInterceptorContext context, String name) {
        ConfigValue value = context.proceed(name);
        if (!HOSTS.contains(name)) {
            return value;
        }
        ConfigValue mode = context.proceed("penstock.auth.mode");
        boolean isSet =
                mode != null && mode.getValue() != null && !mode.getValue().isBlank();
        String host = isSet ? "0.0.0.0" : "127.0.0.1";
        boolean ownChoice = value != null && value.getConfigSourceOrdinal() >= 200 && isSet;
        return ownChoice
                ? value
                : ConfigValue.builder().withName(name).withValue(host).build();
    }
}
