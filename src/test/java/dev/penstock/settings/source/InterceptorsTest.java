package dev.penstock.settings.source;

import static org.assertj.core.api.Assertions.assertThat;

import io.smallrye.config.PropertiesConfigSource;
import io.smallrye.config.SmallRyeConfig;
import io.smallrye.config.SmallRyeConfigBuilder;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** Tests the interceptors that decide at the start which addresses and databases are active, among SmallRye's own. */
class InterceptorsTest {
    private static final String HOST = "quarkus.http.host";
    private static final String MODE = "penstock.auth.mode";

    @Test
    void a_variable_that_is_not_set_says_nothing() {
        SmallRyeConfig config = with(Map.of(
                MODE,
                "${AUTH_MODE:}",
                "penstock.ledger.kind",
                "${LEDGER_KIND:}",
                "quarkus.otel.exporter.otlp.endpoint",
                "${TRACES_TO:}"));

        assertThat(text(config, HOST)).isEqualTo("127.0.0.1");
        assertThat(text(config, "quarkus.management.host")).isEqualTo("127.0.0.1");
        assertThat(active(config, "sqlite")).isTrue();
        assertThat(text(config, "quarkus.otel.sdk.disabled")).isEqualTo("true");
    }

    @Test
    void a_variable_that_is_set_says_it() {
        SmallRyeConfig config = with(Map.of(
                MODE,
                "${AUTH_MODE:}",
                "AUTH_MODE",
                "none",
                "penstock.ledger.kind",
                "${LEDGER_KIND:}",
                "LEDGER_KIND",
                "postgresql",
                "quarkus.otel.exporter.otlp.endpoint",
                "${TRACES_TO:}",
                "TRACES_TO",
                "http://traces:4317"));

        assertThat(text(config, HOST)).isEqualTo("0.0.0.0");
        assertThat(text(config, "quarkus.management.host")).isEqualTo("0.0.0.0");
        assertThat(active(config, "sqlite")).isFalse();
        assertThat(active(config, "postgresql")).isTrue();
        assertThat(text(config, "quarkus.otel.sdk.disabled")).isEqualTo("false");
        assertThat(text(config, "quarkus.otel.exporter.otlp.endpoint")).isEqualTo("http://traces:4317");
    }

    @Test
    void the_keys_of_the_profile_count() {
        SmallRyeConfig config = with(Map.of(
                "%prod." + MODE,
                "none",
                "%prod." + HOST,
                "10.0.0.7",
                "%prod.penstock.ledger.kind",
                "postgresql",
                "%prod.quarkus.otel.sdk.disabled",
                "false"));

        assertThat(text(config, HOST)).isEqualTo("10.0.0.7");
        assertThat(active(config, "postgresql")).isTrue();
        assertThat(text(config, "quarkus.otel.sdk.disabled")).isEqualTo("false");
    }

    @Test
    void without_a_mode_only_loopback_gets_in_whatever_the_host() {
        assertThat(text(with(Map.of("%prod." + HOST, "0.0.0.0")), HOST)).isEqualTo("127.0.0.1");
    }

    private static String text(SmallRyeConfig config, String key) {
        return config.getValue(key, String.class);
    }

    private static boolean active(SmallRyeConfig config, String database) {
        return config.getValue("quarkus.datasource." + database + ".active", Boolean.class)
                && config.getValue("quarkus.flyway." + database + ".active", Boolean.class);
    }

    private static SmallRyeConfig with(Map<String, String> properties) {
        return new SmallRyeConfigBuilder()
                .addDefaultInterceptors()
                .withProfile("prod")
                .withInterceptors(new BindAddress(), new LedgerChoice(), new TraceExport())
                .withSources(new PropertiesConfigSource(properties, "test", 250))
                .build();
    }
}
