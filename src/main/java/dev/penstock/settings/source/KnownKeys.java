package dev.penstock.settings.source;

import dev.penstock.wire.Nearest;
import io.smallrye.config.ConfigMappings;
import io.smallrye.config.PropertyNamesMatcher;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;

/** Detects keys without effect, such as misspelt keys. */
public final class KnownKeys {
    private static final ConfigMappings.ConfigClass MAPPED =
            ConfigMappings.ConfigClass.configClass(PenstockConfig.class);
    private static final PropertyNamesMatcher MATCHER = ConfigMappings.propertyNamesMatcher(List.of(MAPPED));

    /** The keys of a later version that are already documented. A file may contain them. */
    private static final Pattern LATER = Pattern.compile("penstock\\.(?:auth\\b.*|replies\\.allowed-topics\\b.*)");

    /** The same keys as environment variables. */
    private static final Pattern LATER_VARIABLES = Pattern.compile(
            "PENSTOCK_(?:(?:PRICES|TENANTS_.+_BUDGET)(?:_.*)?|AUTH_(?!MODE$).*|REPLIES_ALLOWED_TOPICS(?:_.*)?)");

    /** The keys that a later version is planned to read. A file must not contain them, because users would rely on them. */
    private static final Pattern NOT_AVAILABLE = Pattern.compile(
            "penstock\\.(?:tenants\\.(?:\"[^\"]*\"|[^.\"]+)\\.budget|nodes\\.(?:\"[^\"]*\"|[^.\"]+)\\.priority-headers|prices)\\b.*");

    /** Names that users may give to the routing rules by mistake. */
    private static final Pattern LIKE_ROUTES = Pattern.compile("penstock\\.(?:route|rules?|routing)\\b.*");

    private KnownKeys() {}

    /** Returns the keys that Penstock reads; {@code *} stands for any name, {@code [*]} for an index. */
    static Collection<String> names() {
        return MAPPED.getProperties().keySet();
    }

    /** Returns whether a variable belongs to a key of a later version. */
    static boolean isLaterVariable(String variable) {
        return LATER_VARIABLES.matcher(variable).matches();
    }

    /** Returns whether a key belongs to a later version. It has no effect in this version. */
    public static boolean isLater(String key) {
        return LATER.matcher(key).matches() && !MATCHER.matches(key);
    }

    /** Returns the mistake in a key; empty if Penstock reads the key. */
    public static Optional<String> mistake(String key) {
        if (MATCHER.matches(key)
                || FreeForm.isNested(key)
                || FreeForm.isOfRoutes(key)
                || LATER.matcher(key).matches()) {
            return Optional.empty();
        }
        if (NOT_AVAILABLE.matcher(key).matches()) {
            return Optional.of("%s: is not available in this version".formatted(key));
        }
        if (LIKE_ROUTES.matcher(key).matches()) {
            return Optional.of("%s: there is no such key. Did you mean penstock.routes?".formatted(key));
        }
        Collection<String> names = names();
        String wanted = Nearest.of(key, names).orElse("").replace("*", "…");
        return Optional.of("%s: there is no such key. Did you mean %s?".formatted(key, wanted));
    }
}
