package dev.penstock.wire;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class DurationsTest {
    @ParameterizedTest
    @CsvSource({
        "5m, PT5M",
        "90s, PT90S",
        "1h30m, PT1H30M",
        "500ms, PT0.5S",
        "2d, PT48H",
        "1d2h3m4s5ms, PT26H3M4.005S",
        " 5M , PT5M",
        "PT5M, PT5M",
        "pt0.5s, PT0.5S",
        "P1DT12H, PT36H",
        "0s, PT0S",
        "PT-1S, PT-1S",
    })
    void the_short_form_and_iso_8601(String text, Duration duration) {
        assertThat(Durations.parse(text)).contains(duration);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                " ",
                "5",
                "m",
                "soon",
                "5 m",
                "5m3h",
                "1.5h",
                "-5m",
                "P",
                "99999999999999999999s",
                "2026-11-21"
            })
    void anything_else_is_no_duration(String text) {
        assertThat(Durations.parse(text)).isEmpty();
    }
}
