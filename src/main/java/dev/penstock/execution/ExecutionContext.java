package dev.penstock.execution;

import dev.penstock.settings.Settings;
import io.opentelemetry.api.trace.Tracer;
import java.time.Clock;
import java.util.function.LongSupplier;
import java.util.random.RandomGenerator;

/**
 * The parts that every execution needs.
 *
 * @param nanos a clock for durations, in nanoseconds from any origin
 * @param chance a random generator that spreads the retries of jobs that failed at the same time
 */
public record ExecutionContext(
        Settings settings, Clock clock, LongSupplier nanos, RandomGenerator chance, RunMeters meters, Tracer tracer) {}
