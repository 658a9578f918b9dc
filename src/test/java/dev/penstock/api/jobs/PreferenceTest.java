package dev.penstock.api.jobs;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class PreferenceTest {
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "wait=10|10",
                "respond-async, wait=5|5",
                "wait=\"7\"|7",
                "WAIT = 3|3",
                "wait=600|60",
                "respond-async|0",
                "await=3|0",
            })
    void a_wait_in_seconds(String prefer, int seconds) {
        assertThat(Preference.wait(prefer)).isEqualTo(Duration.ofSeconds(seconds));
    }

    @Test
    void none() {
        assertThat(Preference.wait(null)).isZero();
    }

    @ParameterizedTest
    @ValueSource(strings = {"wait=soon", "wait=-1", "wait=", "wait=1.5", "wait=99999999"})
    void no_seconds(String prefer) {
        assertThatThrownBy(() -> Preference.wait(prefer)).hasMessageContaining("wait=N");
    }
}
