package dev.penstock.node.http;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class RetryAfterTest {
    private static final Instant NOW = Instant.parse("2026-11-29T07:00:00Z");

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "20                            | PT20S",
                " 2                            | PT2S",
                "0.5                           | PT0.5S",
                "0                             | PT0S",
                "-3                            | PT0S",
                "99999999999999                | PT8760H",
                "Sun, 29 Nov 2026 07:01:30 GMT | PT1M30S",
                "Sun, 29 Nov 2026 06:00:00 GMT | PT0S"
            })
    void seconds_and_dates(String said, Duration wait) {
        assertThat(of(Map.of("Retry-After", said))).isEqualTo(wait);
    }

    @Test
    void milliseconds_come_first() {
        assertThat(of(Map.of("retry-after-ms", "1500", "Retry-After", "2"))).isEqualTo(Duration.ofMillis(1_500));
    }

    @Test
    void a_date_counts_by_the_clock_of_its_server() {
        assertThat(of(Map.of("Date", "Sun, 29 Nov 2026 09:00:00 GMT", "Retry-After", "Sun, 29 Nov 2026 09:00:05 GMT")))
                .isEqualTo(Duration.ofSeconds(5));
    }

    @Test
    void what_is_no_time_says_nothing() {
        assertThat(of(Map.of())).isNull();
        assertThat(of(Map.of("Retry-After", "soon"))).isNull();
        assertThat(of(Map.of("Retry-After", "NaN"))).isNull();
        assertThat(of(Map.of("retry-after-ms", "x", "Retry-After", "3"))).isEqualTo(Duration.ofSeconds(3));
    }

    private static @Nullable Duration of(Map<String, String> headers) {
        return RetryAfter.of(headers::get, NOW);
    }
}
