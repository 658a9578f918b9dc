package dev.penstock.settings;

import io.smallrye.config.SmallRyeConfig;
import io.smallrye.config.SmallRyeConfigBuilder;
import java.util.Map;

/** Settings as the product reads them, without a service around them. */
public final class TestSettings {
    private TestSettings() {}

    /** What is in force where nothing is configured. */
    public static Settings defaults() {
        return SettingsReader.read(config(Map.of()), Map.of());
    }

    /** What is in force where the environment says all. */
    public static Settings of(Map<String, String> environment) {
        return SettingsReader.read(config(Map.of()), environment);
    }

    /** What is in force where the file says this. */
    public static Settings ofFile(Map<String, String> keys) {
        return SettingsReader.read(config(keys), Map.of());
    }

    static PenstockConfig config(Map<String, String> keys) {
        SmallRyeConfig config = new SmallRyeConfigBuilder()
                .withMapping(PenstockConfig.class)
                .withDefaultValues(keys)
                .addDiscoveredConverters()
                // the reader tells it itself, with the way out
                .withValidateUnknown(false)
                .build();
        return config.getConfigMapping(PenstockConfig.class);
    }
}
