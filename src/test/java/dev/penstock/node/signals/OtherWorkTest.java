package dev.penstock.node.signals;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class OtherWorkTest {
    @ParameterizedTest(name = "{0}")
    @CsvSource(delimiter = '|', textBlock = """
            only our own                         | 3 | 0 | 3 | 0 | 0
            our own have not all arrived         | 1 | 0 | 3 | 0 | 0
            others run                           | 5 | 0 | 3 | 2 | 0
            others wait behind ours              | 2 | 4 | 3 | 0 | 3
            the waiting ones count before running ones | 4 | 1 | 0 | 4 | 1
            nothing                              | 0 | 0 | 0 | 0 | 0
            """)
    void requests_beyond_our_own_are_those_of_others(
            String name, int running, int waiting, int own, int othersRunning, int othersWaiting) {
        assertThat(OtherWork.of(Signals.of(running, waiting, 0.5), own))
                .isEqualTo(new OtherWork(othersRunning, othersWaiting, false));
    }

    @Test
    void a_cache_that_is_nearly_full_counts_without_any_request() {
        assertThat(OtherWork.of(Signals.of(0, 0, 0.95), 0).isNearlyFull()).isFalse();
        assertThat(OtherWork.of(Signals.of(0, 0, 0.96), 0).isNearlyFull()).isTrue();
    }

    @Test
    void a_waiting_request_is_a_mean_prompt_and_a_running_one_is_a_quarter() {
        assertThat(new OtherWork(4, 2, false).tokens(1_000)).isEqualTo(3_000);
        assertThat(new OtherWork(4, 2, false).tokens(0))
                .as("no prompt was measured")
                .isZero();
    }

    @Test
    void signals_older_than_five_seconds_are_ignored() {
        SeenSignals seen = new SeenSignals(SignalSource.VLLM_METRICS, new OtherWork(1, 2, true), 10_000);

        assertThat(seen.now(15_000)).isEqualTo(new OtherWork(1, 2, true));
        assertThat(seen.isStale(15_000)).isFalse();
        assertThat(seen.now(15_001)).isEqualTo(OtherWork.NONE);
        assertThat(seen.isStale(15_001)).isTrue();
        assertThat(seen.ageMillis(15_001)).isEqualTo(5_001);
    }
}
