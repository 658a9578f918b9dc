package dev.penstock.api;

import dev.penstock.intake.Intake;
import jakarta.enterprise.inject.Produces;
import jakarta.inject.Singleton;
import org.eclipse.microprofile.health.HealthCheck;
import org.eclipse.microprofile.health.HealthCheckResponse;
import org.eclipse.microprofile.health.Liveness;
import org.eclipse.microprofile.health.Readiness;
import org.eclipse.microprofile.health.Startup;

/** Live never depends on the broker or the nodes; ready: the broker was reached once, and this replica is not draining. */
final class HealthChecks {
    private HealthChecks() {}

    @Produces
    @Singleton
    @Liveness
    static HealthCheck live() {
        return () -> HealthCheckResponse.up("penstock");
    }

    @Produces
    @Singleton
    @Readiness
    static HealthCheck ready(Intake intake) {
        return () -> check("intake", intake, intake.state() == Intake.State.RUNNING);
    }

    @Produces
    @Singleton
    @Startup
    static HealthCheck started(Intake intake) {
        return () -> check("topics", intake, intake.state() != Intake.State.STARTING);
    }

    private static HealthCheckResponse check(String name, Intake intake, boolean up) {
        return HealthCheckResponse.named(name)
                .status(up)
                .withData("intake", intake.state().name())
                .build();
    }
}
