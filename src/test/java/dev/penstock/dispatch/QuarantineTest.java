package dev.penstock.dispatch;

import static org.assertj.core.api.Assertions.assertThat;

import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;

class QuarantineTest {
    private final Quarantine quarantine = new Quarantine(new SimpleMeterRegistry());

    private Quarantine.Pass enter(int crashedRuns) {
        return Objects.requireNonNull(quarantine.enter(crashedRuns));
    }

    @Test
    void a_job_with_one_crashed_run_is_free() {
        try (Quarantine.Pass _ = enter(1)) {
            assertThat(quarantine.running()).isZero();
        }
    }

    @Test
    void eight_jobs_with_two_crashed_runs_run_at_once() {
        List<Quarantine.Pass> passes = new ArrayList<>();
        for (int i = 0; i < 8; i++) {
            passes.add(enter(2));
        }
        assertThat(quarantine.running()).isEqualTo(8);
        assertThat(quarantine.enter(2)).isNull();

        passes.getFirst().close();
        assertThat(quarantine.enter(2)).isNotNull();
    }

    @Test
    void a_job_with_three_crashed_runs_runs_alone() {
        try (Quarantine.Pass _ = enter(2)) {
            assertThat(quarantine.enter(3)).isNull();
        }
        try (Quarantine.Pass _ = enter(3)) {
            assertThat(quarantine.enter(2)).isNull();
            assertThat(quarantine.enter(3)).isNull();
            assertThat(quarantine.enter(0)).isNotNull();
        }
        assertThat(quarantine.enter(2)).isNotNull();
    }
}
