package dev.penstock.cli.job;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.EventMark;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class EndingTest {
    @ParameterizedTest
    @CsvSource({"COMPLETED,0", "FAILED,1", "CANCELLED,3", "EXPIRED,4", "REJECTED,5", "STARTED,6", "CHUNK,6"})
    void the_last_event_decides_the_exit_code(EventMark.Kind last, int exitCode) {
        assertThat(Ending.of(last).exitCode()).isEqualTo(exitCode);
    }
}
