package dev.penstock.job;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class RunStartsTest {
    private static final int RUNS = 10_000;

    @Test
    void a_job_with_very_many_runs_keeps_the_latest() {
        Reading reading = Reading.START;
        RunStarts starts = RunStarts.NONE;
        for (int run = 1; run <= RUNS; run++) {
            EventMark started = new EventMark(EventMark.Kind.STARTED, run, "run-" + run, 0);
            starts = starts.after(reading, started);
            reading = reading.after(started);
            // only what the ledger stores in between counts
            starts = RunStarts.ofText(starts.toText());
        }

        assertThat(starts.attempts()).hasSize(RunStarts.MOST).endsWith(RUNS - 1, RUNS);
        assertThat(starts.toText().length()).isLessThan(400);
        assertThat(starts.after(0, List.of())).as("poison all the same").isGreaterThanOrEqualTo(4);
        assertThat(starts.after(RUNS - 3, List.of(RUNS - 1)))
                .as("handed back before the last three, one of which its replica ended")
                .isEqualTo(2);
    }

    @Test
    void a_row_of_an_earlier_version_is_cut_when_it_is_read() {
        String all = IntStream.rangeClosed(1, RUNS).mapToObj(String::valueOf).collect(Collectors.joining(","));

        assertThat(RunStarts.ofText(all).attempts()).hasSize(RunStarts.MOST).endsWith(RUNS);
        assertThat(RunStarts.ofText("")).isEqualTo(RunStarts.NONE);
        assertThat(RunStarts.ofText("1,3").toText()).isEqualTo("1,3");
    }
}
