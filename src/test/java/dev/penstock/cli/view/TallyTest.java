package dev.penstock.cli.view;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import org.junit.jupiter.api.Test;

class TallyTest {
    @Test
    void the_rate_counts_this_run_only() {
        Tally tally =
                new Tally(60, 20, 1, 0, Duration.ZERO).plus(true).plus(false).after(Duration.ofMillis(500));

        assertThat(tally.numbers()).isEqualTo("22/60 done, 2 failed, 4.0 jobs/s");
        assertThat(tally.bar()).startsWith("[###########...................] ");
    }

    @Test
    void an_empty_run_is_done() {
        assertThat(new Tally(0, 0, 0, 0, Duration.ZERO).bar())
                .isEqualTo("[##############################] 0/0 done, 0 failed, 0.0 jobs/s");
    }
}
