package dev.penstock.settings.read;

import dev.penstock.settings.Settings;
import dev.penstock.settings.source.PenstockConfig;
import io.smallrye.config.SmallRyeConfig;
import io.smallrye.config.SmallRyeConfigBuilder;
import java.util.Map;

/** Settings as the product reads them, without a service. */
public final class TestSettings {
    private TestSettings() {}

    /** Returns the settings without any configuration. */
    public static Settings defaults() {
        return SettingsReader.read(config(Map.of()), Map.of());
    }

    /** Returns the settings that come from environment variables only. */
    public static Settings of(Map<String, String> environment) {
        return SettingsReader.read(config(Map.of()), environment);
    }

    /** Returns the settings that come from these keys of a file. */
    public static Settings ofFile(Map<String, String> keys) {
        return SettingsReader.read(config(keys), Map.of(), keys);
    }

    static PenstockConfig config(Map<String, String> keys) {
        SmallRyeConfig config = new SmallRyeConfigBuilder()
                .withMapping(PenstockConfig.class)
                .withDefaultValues(keys)
                .addDiscoveredConverters()
                // the reader reports it itself, with the way out
                .withValidateUnknown(false)
                .build();
        return config.getConfigMapping(PenstockConfig.class);
    }

    /** Returns the keys of a node, without {@code penstock.}. */
    public static Map<String, String> node(String name, String backend, int slots) {
        String key = "nodes." + name + ".";
        return Map.of(
                key + "backend",
                backend,
                key + "url",
                "http://127.0.0.1:1",
                key + "max-in-flight",
                Integer.toString(slots));
    }
}
