package dev.penstock.api;

import static org.assertj.core.api.Assertions.assertThat;

import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class HttpLabelsTest {
    private final SimpleMeterRegistry meters = new SimpleMeterRegistry();

    HttpLabelsTest() {
        meters.config().meterFilter(new HttpLabels(new OpenApiDocument().paths()));
    }

    @ParameterizedTest
    @CsvSource({
        "GET, /v1/jobs, GET, /v1/jobs",
        "GET, /v1/jobs/{id}, GET, /v1/jobs/{id}",
        "DELETE, /v1/nodes/{name}/models/{model}, DELETE, /v1/nodes/{name}/models/{model}",
        "GET, NOT_FOUND, GET, NOT_FOUND",
        "GET, /q/swagger-ui/index.html, GET, /q/swagger-ui",
        "GET, /q/openapi, GET, /q/openapi",
        "GET, /v1/jobs/{made up}, GET, /v1/jobs/{id}",
        "GET, /v1/jobs/abc, GET, OTHER",
        "GET, /anything, GET, OTHER",
        "BREW, /v1/jobs, OTHER, /v1/jobs",
        "get, /v1/jobs, OTHER, /v1/jobs"
    })
    void a_label_is_one_of_few(String method, String path, String shownMethod, String shownPath) {
        meters.timer("http.server.requests", "method", method, "uri", path, "status", "404");

        assertThat(meters.get("http.server.requests").timer().getId().getTag("method"))
                .isEqualTo(shownMethod);
        assertThat(meters.get("http.server.requests").timer().getId().getTag("uri"))
                .isEqualTo(shownPath);
    }

    @Test
    void thousands_of_paths_and_methods_are_one_meter_and_other_meters_are_left_alone() {
        IntStream.range(0, 5_000)
                .forEach(i -> meters.timer("http.server.requests", "method", "M" + i, "uri", "/p" + i));
        meters.counter("other", "method", "M", "uri", "/p");

        assertThat(meters.getMeters()).hasSize(2);
        assertThat(meters.get("other").counter().getId().getTag("uri")).isEqualTo("/p");
    }
}
