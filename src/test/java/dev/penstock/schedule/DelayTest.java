package dev.penstock.schedule;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.time.Instant;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class DelayTest {
    private static final Instant NOW = Instant.parse("2026-11-21T09:00:00Z");

    @ParameterizedTest
    @CsvSource({
        "NODES_DOWN,         , SHORT",
        "NODES_DOWN, PT1S    , MEDIUM",
        "NODES_DOWN, PT10M   , MEDIUM",
        "NODES_DOWN, PT10M1S , LONG",
        "NODES_FULL,         , SHORT",
        "NODES_FULL, PT1H    , SHORT"
    })
    void grows_with_the_time_since_the_first_deferral(Admission.Cause cause, Duration ago, Delay delay) {
        assertThat(Delay.of(cause, ago == null ? null : NOW.minus(ago), NOW)).isEqualTo(delay);
    }

    @ParameterizedTest
    @CsvSource({
        "LONG,   PT11M, LONG",
        "LONG,   PT10M, MEDIUM",
        "LONG,   PT30S, SHORT",
        "MEDIUM, PT11M, MEDIUM",
        "SHORT,  PT5S , NONE",
        "NONE,   PT1H , NONE"
    })
    void the_job_is_back_before_its_time_is_over(Delay wanted, Duration left, Delay delay) {
        assertThat(wanted.within(left)).isEqualTo(delay);
    }
}
