package dev.penstock.api;

import dev.penstock.intake.Intake;
import jakarta.enterprise.inject.Produces;
import jakarta.inject.Singleton;
import org.eclipse.microprofile.config.inject.ConfigProperty;
import org.eclipse.microprofile.health.HealthCheck;
import org.eclipse.microprofile.health.HealthCheckResponse;
import org.eclipse.microprofile.health.HealthCheckResponseBuilder;
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
    static HealthCheck ready(Intake intake, @ConfigProperty(name = "quarkus.application.version") String version) {
        return () -> {
            HealthCheckResponseBuilder check = HealthCheckResponse.named("intake")
                    .status(intake.state() == Intake.State.RUNNING)
                    .withData("version", version)
                    .withData("intake", intake.state().name());
            intake.standing().forEach(check::withData);
            return check.build();
        };
    }

    @Produces
    @Singleton
    @Startup
    static HealthCheck started(Intake intake) {
        return () -> HealthCheckResponse.named("topics")
                .status(intake.state() != Intake.State.STARTING)
                .withData("intake", intake.state().name())
                .build();
    }
}
