package dev.penstock.wire.document;

import dev.penstock.wire.Durations;
import dev.penstock.wire.Fields;
import dev.penstock.wire.InvalidField;
import java.time.DateTimeException;
import java.time.Duration;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** Reads the times of a job: how long it may run, and until when. */
final class JobTimes {
    /** The latest possible time, because years in RFC 3339 have four digits. */
    private static final Instant LATEST = Instant.parse("9999-12-31T23:59:59Z");

    private JobTimes() {}

    static Duration timeout(Fields job, JobDocument.Defaults defaults) throws InvalidField {
        Optional<String> given = job.text("timeout");
        if (given.isEmpty()) {
            return defaults.timeout();
        }
        Duration timeout = duration("job.timeout", given.get());
        if (timeout.compareTo(defaults.maxTimeout()) > 0) {
            throw new InvalidField(
                    "job.timeout", "%s is above the limit, %s".formatted(timeout, defaults.maxTimeout()));
        }
        return timeout;
    }

    static @Nullable Instant deadline(Fields job, Instant acceptedAt) throws InvalidField {
        Optional<String> given = job.text("deadline");
        if (given.isEmpty()) {
            return null;
        }
        try {
            Instant deadline = Durations.parse(given.get()).isPresent()
                    ? acceptedAt.plus(duration("job.deadline", given.get()))
                    : OffsetDateTime.parse(given.get()).toInstant();
            if (deadline.isBefore(Instant.EPOCH) || deadline.isAfter(LATEST)) {
                throw new InvalidField("job.deadline", "expected a time between 1970 and the year 9999");
            }
            return deadline;
        } catch (DateTimeException | ArithmeticException e) {
            throw new InvalidField(
                    "job.deadline", "expected RFC 3339 such as 2026-11-21T10:00:00Z, or " + Durations.EXAMPLE, e);
        }
    }

    private static Duration duration(String path, String given) throws InvalidField {
        Duration duration =
                Durations.parse(given).orElseThrow(() -> new InvalidField(path, "expected " + Durations.EXAMPLE));
        if (duration.isPositive()) {
            return duration;
        }
        throw new InvalidField(path, "must be positive");
    }
}
