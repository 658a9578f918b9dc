package dev.penstock.execution;

import dev.penstock.settings.Settings;
import io.opentelemetry.api.trace.Tracer;
import java.time.Clock;
import java.util.function.LongSupplier;
import java.util.random.RandomGenerator;

/**
 * What every execution needs.
 *
 * @param nanos measures durations, in nanoseconds from any origin
 * @param chance spreads the retries of jobs that failed together
 */
public record ExecutionContext(
        Settings settings, Clock clock, LongSupplier nanos, RandomGenerator chance, RunMeters meters, Tracer tracer) {}
