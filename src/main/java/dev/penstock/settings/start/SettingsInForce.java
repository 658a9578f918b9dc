package dev.penstock.settings.start;

import dev.penstock.kafka.KafkaClients;
import dev.penstock.settings.Settings;
import dev.penstock.settings.read.RuleChecks;
import dev.penstock.settings.read.SettingsReader;
import dev.penstock.settings.source.KnownKeys;
import dev.penstock.settings.source.KnownVariables;
import dev.penstock.settings.source.MetricHelp;
import dev.penstock.settings.source.PenstockConfig;
import io.micrometer.core.instrument.config.MeterFilter;
import io.smallrye.common.annotation.Identifier;
import io.smallrye.config.SmallRyeConfig;
import jakarta.enterprise.inject.Disposes;
import jakarta.enterprise.inject.Produces;
import jakarta.inject.Singleton;
import java.time.Clock;
import java.util.HashMap;
import java.util.Map;
import org.eclipse.microprofile.config.Config;
import org.eclipse.microprofile.config.ConfigProvider;
import org.eclipse.microprofile.config.ConfigValue;
import org.jboss.logging.Logger;

/** Provides the checked settings for injection. */
final class SettingsInForce {
    private static final Logger LOG = Logger.getLogger(SettingsInForce.class);
    static final int ENVIRONMENT = 300;

    private SettingsInForce() {}

    @Produces
    @Singleton
    static Settings settings(PenstockConfig config) {
        Map<String, String> keys = keys(ConfigProvider.getConfig());
        Settings settings = SettingsReader.read(config, System.getenv(), keys);
        keys.keySet().stream()
                .filter(KnownKeys::isLater)
                .sorted()
                .forEach(key -> LOG.warnf("%s is of a later version: it has no effect in this one", key));
        SettingsReader.withoutEffect(config).forEach(LOG::warn);
        RuleChecks.warnings(settings).forEach(LOG::warn);
        new KnownVariables(System.getenv(), settings.nodes()).unknown().forEach(LOG::warn);
        new KafkaCheck(ConfigProvider.getConfig().unwrap(SmallRyeConfig.class), System.getenv(), _ -> {})
                .unknown()
                .forEach(LOG::warn);
        if (config.auth().mode().isEmpty()) {
            LOG.warn(
                    "penstock.auth.mode is not set: the API and the management port listen on 127.0.0.1 only. With none, every caller that reaches them may call");
        }
        return settings;
    }

    /**
     * Returns the keys under {@code penstock} with their values, except those from the environment. {@link
     * KnownVariables} checks the environment's variables.
     */
    static Map<String, String> keys(Config config) {
        Map<String, String> keys = new HashMap<>();
        for (String name : config.getPropertyNames()) {
            if (name.startsWith("penstock.")) {
                ConfigValue value = config.getConfigValue(name);
                if (value.getValue() != null && value.getSourceOrdinal() != ENVIRONMENT) {
                    keys.put(name, value.getValue());
                }
            }
        }
        return keys;
    }

    @Produces
    @Singleton
    static KafkaClients kafka(@Identifier("default-kafka-broker") Map<String, Object> common, Settings settings) {
        return new KafkaClients(common, settings.maxRecord());
    }

    static void close(@Disposes KafkaClients kafka) {
        kafka.close();
    }

    @Produces
    @Singleton
    static MeterFilter metricHelp() {
        return new MetricHelp();
    }

    @Produces
    @Singleton
    static Clock clock() {
        return Clock.systemUTC();
    }
}
