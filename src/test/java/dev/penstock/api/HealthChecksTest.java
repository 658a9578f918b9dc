package dev.penstock.api;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.intake.Intake;
import java.util.Map;
import org.eclipse.microprofile.health.HealthCheckResponse;
import org.junit.jupiter.api.Test;

class HealthChecksTest {
    @Test
    void a_replica_is_ready_when_it_takes_jobs_or_knows_that_the_broker_is_away() {
        assertThat(HealthChecks.isReady(Intake.State.STARTING, false)).isFalse();
        assertThat(HealthChecks.hasStarted(Intake.State.STARTING, false)).isFalse();
        assertThat(HealthChecks.isReady(Intake.State.STARTING, true)).isTrue();
        assertThat(HealthChecks.hasStarted(Intake.State.STARTING, true)).isTrue();
        assertThat(HealthChecks.isReady(Intake.State.RUNNING, true)).isTrue();
        assertThat(HealthChecks.isReady(Intake.State.DRAINING, true)).isFalse();
        assertThat(HealthChecks.hasStarted(Intake.State.DRAINING, false)).isTrue();
    }

    @Test
    void live_says_no_with_the_name_of_a_thread_that_is_gone() {
        HealthCheckResponse whole = HealthChecks.alive(Map.of());
        HealthCheckResponse zombie = HealthChecks.alive(Map.of("penstock-ledger", "it returned"));

        assertThat(whole.getStatus()).isEqualTo(HealthCheckResponse.Status.UP);
        assertThat(zombie.getStatus()).isEqualTo(HealthCheckResponse.Status.DOWN);
        assertThat(zombie.getData())
                .hasValueSatisfying(data -> assertThat(data).containsEntry("thread.penstock-ledger", "it returned"));
    }
}
