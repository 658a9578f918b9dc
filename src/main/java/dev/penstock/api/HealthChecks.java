package dev.penstock.api;

import dev.penstock.intake.Intake;
import dev.penstock.ledger.Ledger;
import dev.penstock.settings.start.BrokerWatch;
import dev.penstock.thread.SupervisedThread;
import dev.penstock.webhook.Webhooks;
import jakarta.enterprise.inject.Produces;
import jakarta.inject.Singleton;
import java.util.Map;
import org.eclipse.microprofile.config.inject.ConfigProperty;
import org.eclipse.microprofile.health.HealthCheck;
import org.eclipse.microprofile.health.HealthCheckResponse;
import org.eclipse.microprofile.health.HealthCheckResponseBuilder;
import org.eclipse.microprofile.health.Liveness;
import org.eclipse.microprofile.health.Readiness;
import org.eclipse.microprofile.health.Startup;

/**
 * Reports the health of the process. {@code live} requires that no thread has ended unexpectedly; it never depends on
 * the broker or the nodes. {@code started} and {@code ready} require that the intake runs, or that the broker is known
 * to be away: then the replica answers direct calls. {@code ready} also requires that this replica does not drain.
 */
final class HealthChecks {
    private HealthChecks() {}

    @Produces
    @Singleton
    @Liveness
    static HealthCheck live() {
        return () -> alive(SupervisedThread.gone());
    }

    /** @param gone the names of the threads that ended unexpectedly, each with the reason */
    static HealthCheckResponse alive(Map<String, String> gone) {
        HealthCheckResponseBuilder check = HealthCheckResponse.named("penstock").status(gone.isEmpty());
        gone.forEach((thread, how) -> check.withData("thread." + thread, how));
        return check.build();
    }

    @Produces
    @Singleton
    @Readiness
    static HealthCheck ready(
            Intake intake,
            BrokerWatch broker,
            Ledger ledger,
            Webhooks webhooks,
            @ConfigProperty(name = "quarkus.application.version") String version) {
        return () -> {
            HealthCheckResponseBuilder check = HealthCheckResponse.named("intake")
                    .status(isReady(intake.state(), broker.away() != null))
                    .withData("version", version)
                    .withData("intake", intake.state().name());
            intake.standing().forEach(check::withData);
            webhooks.warnings().forEach((name, words) -> check.withData("warning.webhook." + name, words));
            ledger.warning().ifPresent(words -> check.withData("warning.ledger", words));
            return check.build();
        };
    }

    @Produces
    @Singleton
    @Startup
    static HealthCheck started(Intake intake, BrokerWatch broker) {
        return () -> HealthCheckResponse.named("topics")
                .status(hasStarted(intake.state(), broker.away() != null))
                .withData("intake", intake.state().name())
                .build();
    }

    /** @param brokerAway whether the broker is known to be away */
    static boolean isReady(Intake.State intake, boolean brokerAway) {
        return intake != Intake.State.DRAINING && hasStarted(intake, brokerAway);
    }

    static boolean hasStarted(Intake.State intake, boolean brokerAway) {
        return intake != Intake.State.STARTING || brokerAway;
    }
}
