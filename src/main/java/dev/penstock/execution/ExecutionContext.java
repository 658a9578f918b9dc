package dev.penstock.execution;

import dev.penstock.settings.Settings;
import io.opentelemetry.api.trace.Tracer;
import java.time.Clock;
import java.time.Duration;
import java.util.function.LongSupplier;
import java.util.random.RandomGenerator;

/**
 * The parts that every execution needs.
 *
 * @param nanos a clock for durations, in nanoseconds from any origin
 * @param chance a random generator that spreads the retries of jobs that failed at the same time
 * @param chunkLinger how long a piece of the answer waits for more text
 */
public record ExecutionContext(
        Settings settings,
        Clock clock,
        LongSupplier nanos,
        RandomGenerator chance,
        RunMeters meters,
        Tracer tracer,
        Duration chunkLinger) {
    /** Creates the parts of executions whose chunks linger as the settings say. */
    public ExecutionContext(
            Settings settings,
            Clock clock,
            LongSupplier nanos,
            RandomGenerator chance,
            RunMeters meters,
            Tracer tracer) {
        this(settings, clock, nanos, chance, meters, tracer, settings.replies().chunkLinger());
    }

    /** Returns the same parts for executions whose text leaves at once. */
    public ExecutionContext atOnce() {
        return new ExecutionContext(settings, clock, nanos, chance, meters, tracer, Duration.ZERO);
    }
}
