package dev.penstock.settings;

import io.smallrye.config.ConfigSourceInterceptor;
import io.smallrye.config.ConfigSourceInterceptorContext;
import io.smallrye.config.ConfigValue;
import io.smallrye.config.Priorities;
import jakarta.annotation.Priority;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Without {@code penstock.auth.mode} it is open who may call: then the API and the management port are reachable from this machine only. The
 * interceptors here lie outside SmallRye's own (LIBRARY), which read the keys of a profile and what stands in <code>${}</code>.
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
        boolean said =
                mode != null && mode.getValue() != null && !mode.getValue().isBlank();
        String host = said ? "0.0.0.0" : "127.0.0.1";
        boolean ownChoice = value != null && value.getConfigSourceOrdinal() >= 200 && said;
        return ownChoice
                ? value
                : ConfigValue.builder().withName(name).withValue(host).build();
    }
}
