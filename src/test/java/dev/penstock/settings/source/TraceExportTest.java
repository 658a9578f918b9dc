package dev.penstock.settings.source;

import static org.assertj.core.api.Assertions.assertThat;

import io.smallrye.config.EnvConfigSource;
import io.smallrye.config.PropertiesConfigSource;
import io.smallrye.config.SmallRyeConfig;
import io.smallrye.config.SmallRyeConfigBuilder;
import java.util.Map;
import org.junit.jupiter.api.Test;

class TraceExportTest {
    private static final String ENDPOINT = "quarkus.otel.exporter.otlp.endpoint";
    private static final String DISABLED = "quarkus.otel.sdk.disabled";

    @Test
    void nothing_is_traced_without_an_endpoint() {
        assertThat(with(Map.of(), Map.of()).getValue(DISABLED, Boolean.class)).isTrue();
        assertThat(with(Map.of("OTEL_EXPORTER_OTLP_ENDPOINT", ""), Map.of()).getValue(DISABLED, Boolean.class))
                .isTrue();
    }

    @Test
    void an_endpoint_is_enough_by_quarkuss_name_or_by_opentelemetrys_own() {
        SmallRyeConfig quarkus = with(Map.of(), Map.of(ENDPOINT, "http://a:4317"));
        SmallRyeConfig own = with(
                Map.of(
                        "OTEL_EXPORTER_OTLP_ENDPOINT", "http://b:4318",
                        "OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf",
                        "OTEL_SERVICE_NAME", "jobs"),
                Map.of());

        assertThat(quarkus.getValue(DISABLED, Boolean.class)).isFalse();
        assertThat(quarkus.getValue(ENDPOINT, String.class)).isEqualTo("http://a:4317");
        assertThat(own.getValue(DISABLED, Boolean.class)).isFalse();
        assertThat(own.getValue(ENDPOINT, String.class)).isEqualTo("http://b:4318");
        assertThat(own.getValue("quarkus.otel.exporter.otlp.protocol", String.class))
                .isEqualTo("http/protobuf");
        assertThat(own.getValue("quarkus.otel.service.name", String.class)).isEqualTo("jobs");
    }

    @Test
    void the_switch_of_the_sdk_counts_before_the_endpoint() {
        assertThat(with(Map.of("OTEL_SDK_DISABLED", "true"), Map.of(ENDPOINT, "http://a:4317"))
                        .getValue(DISABLED, Boolean.class))
                .isTrue();
        assertThat(with(Map.of(), Map.of(DISABLED, "false")).getValue(DISABLED, Boolean.class))
                .isFalse();
    }

    /** Quarkus's own defaults have the lowest precedence. */
    private static SmallRyeConfig with(Map<String, String> environment, Map<String, String> properties) {
        return new SmallRyeConfigBuilder()
                .withInterceptors(new TraceExport())
                .withDefaultValue(ENDPOINT, "http://localhost:4317/")
                .withDefaultValue(DISABLED, "false")
                .withSources(new EnvConfigSource(environment, 300), new PropertiesConfigSource(properties, "test", 250))
                .build();
    }
}
