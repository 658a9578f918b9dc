package dev.penstock.app;

import dev.penstock.dispatch.Traces;
import dev.penstock.execution.ExecutionContext;
import dev.penstock.execution.RunMeters;
import dev.penstock.settings.Settings;
import io.micrometer.core.instrument.MeterRegistry;
import jakarta.enterprise.inject.Produces;
import jakarta.inject.Singleton;
import java.time.Clock;
import java.util.concurrent.ThreadLocalRandom;

/** Provides the parts that jobs and direct calls share for their executions. */
final class ExecutionParts {
    private ExecutionParts() {}

    @Produces
    @Singleton
    static ExecutionContext context(Settings settings, Clock clock, MeterRegistry meters, Traces traces) {
        return new ExecutionContext(
                settings,
                clock,
                System::nanoTime,
                () -> ThreadLocalRandom.current().nextLong(),
                new RunMeters(meters),
                traces.tracer());
    }
}
