package dev.penstock.settings.read;

import dev.penstock.settings.Settings;
import io.smallrye.config.source.yaml.YamlConfigSource;
import java.util.Map;

/** Settings from the text of a YAML file, with the keys that the service's own YAML source makes of it. */
public final class YamlSettings {
    private YamlSettings() {}

    public static Settings of(String yaml) {
        return TestSettings.ofFile(keys(yaml));
    }

    /** Returns the keys of a YAML text. */
    public static Map<String, String> keys(String yaml) {
        return new YamlConfigSource("application.yaml", yaml).getProperties();
    }
}
