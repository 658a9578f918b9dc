package dev.penstock.settings;

import io.smallrye.common.annotation.Identifier;
import jakarta.enterprise.inject.Produces;
import jakarta.inject.Singleton;
import java.time.Clock;
import java.util.Map;
import org.eclipse.microprofile.config.ConfigProvider;

/** Hands the checked settings to whoever asks for them. */
final class SettingsInForce {
    private SettingsInForce() {}

    @Produces
    @Singleton
    static Settings settings(PenstockConfig config) {
        return SettingsReader.read(
                config, System.getenv(), ConfigProvider.getConfig().getPropertyNames());
    }

    @Produces
    @Singleton
    static KafkaSettings kafka(@Identifier("default-kafka-broker") Map<String, Object> common, Settings settings) {
        return new KafkaSettings(common, settings.maxRecord());
    }

    @Produces
    @Singleton
    static Clock clock() {
        return Clock.systemUTC();
    }
}
