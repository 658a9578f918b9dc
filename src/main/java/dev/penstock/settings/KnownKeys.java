package dev.penstock.settings;

import dev.penstock.wire.Nearest;
import io.smallrye.config.ConfigMappings;
import io.smallrye.config.PropertyNamesMatcher;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;

/** Tells a key that nobody reads, such as a misspelt one. */
final class KnownKeys {
    private static final ConfigMappings.ConfigClass MAPPED =
            ConfigMappings.ConfigClass.configClass(PenstockConfig.class);
    private static final PropertyNamesMatcher MATCHER = ConfigMappings.propertyNamesMatcher(List.of(MAPPED));

    /** They are documented for a later version, so that a file may have them already. */
    private static final Pattern LATER = Pattern.compile(
            "penstock\\.(?:(?:routes|admission|tenants|auth|cloud-fallback)\\b.*|replies\\.allowed-topics\\b.*|timeouts\\.queue)");

    /** The same as variables of the environment. */
    private static final Pattern LATER_VARIABLES = Pattern.compile(
            "PENSTOCK_(?:(?:ROUTES|ADMISSION|TENANTS|CLOUD_FALLBACK)(?:_.*)?|AUTH_(?!MODE$).*|REPLIES_ALLOWED_TOPICS(?:_.*)?|TIMEOUTS_QUEUE)");

    private KnownKeys() {}

    /** The keys that are read; {@code *} stands for any name, {@code [*]} for an index. */
    static Collection<String> names() {
        return MAPPED.getProperties().keySet();
    }

    /** Whether a variable is of a key of a later version. */
    static boolean isLaterVariable(String variable) {
        return LATER_VARIABLES.matcher(variable).matches();
    }

    /** Whether it is one of a later version: it has no effect in this one. */
    static boolean isLater(String key) {
        return LATER.matcher(key).matches() && !MATCHER.matches(key);
    }

    /** What is wrong with a key; empty: it is read. */
    static Optional<String> mistake(String key) {
        if (MATCHER.matches(key) || FreeForm.isNested(key) || LATER.matcher(key).matches()) {
            return Optional.empty();
        }
        Collection<String> names = names();
        String wanted = Nearest.of(key, names).orElse("").replace("*", "…");
        return Optional.of("%s: there is no such key. Did you mean %s?".formatted(key, wanted));
    }
}
