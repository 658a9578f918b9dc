package dev.penstock.api.jobs;

import dev.penstock.api.call.ApiException;
import dev.penstock.job.JobFailure;
import dev.penstock.job.JobState;
import dev.penstock.ledger.database.Queries;
import dev.penstock.wire.Durations;
import jakarta.ws.rs.core.MultivaluedMap;
import java.time.DateTimeException;
import java.time.Duration;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** Parses the query parameters of a list of jobs. */
final class ListParameters {
    private static final int DEFAULT_LIMIT = 20;
    private static final int MOST = 100;
    private static final String METADATA = "metadata.";
    /** The length of the longest metadata key that a job can have. */
    private static final int LONGEST_KEY = 64;
    /** The length of the longest value that a job can have. */
    private static final int LONGEST = 512;

    private ListParameters() {}

    static JobState.@Nullable Status status(@Nullable String given) {
        if (given == null) {
            return null;
        }
        return Arrays.stream(JobState.Status.values())
                .filter(status -> status.wireName().equals(given))
                .findFirst()
                .orElseThrow(() -> new ApiException(JobFailure.invalid(
                        "status",
                        "'%s' is none of %s"
                                .formatted(
                                        given,
                                        Arrays.stream(JobState.Status.values())
                                                .map(JobState.Status::wireName)
                                                .collect(Collectors.joining(", "))))));
    }

    /** Checks the value of a filter. No job has a value with control characters, and a database may refuse them. */
    static @Nullable String name(String parameter, @Nullable String given) {
        if (given != null && (given.length() > LONGEST || given.chars().anyMatch(Character::isISOControl))) {
            throw new ApiException(
                    JobFailure.invalid(parameter, "expected up to %d characters on one line".formatted(LONGEST)));
        }
        return given;
    }

    /** Returns the filters of a list. A time may also be a duration: {@code 1h} means one hour ago. */
    static Queries.Filter filter(MultivaluedMap<String, String> given, Instant now) {
        Map<String, String> metadata = new HashMap<>();
        given.forEach((name, values) -> {
            if (name.startsWith(METADATA)) {
                String key = name.substring(METADATA.length());
                if (key.length() > LONGEST_KEY) {
                    throw new ApiException(JobFailure.invalid(
                            METADATA + "KEY", "expected a key of up to %d characters".formatted(LONGEST_KEY)));
                }
                metadata.put(key, String.valueOf(name(name, values.getFirst())));
            }
        });
        return new Queries.Filter(
                status(given.getFirst("status")),
                name("tenant", given.getFirst("tenant")),
                name("model", given.getFirst("model")),
                name("node", given.getFirst("node")),
                name("code", given.getFirst("code")),
                time("since", given.getFirst("since"), now),
                time("until", given.getFirst("until"), now),
                metadata);
    }

    private static @Nullable Instant time(String parameter, @Nullable String given, Instant now) {
        if (given == null) {
            return null;
        }
        Optional<Duration> ago = Durations.parse(given);
        try {
            // an unencoded plus sign arrives as a blank
            Instant time = ago.isPresent()
                    ? now.minus(ago.get())
                    : OffsetDateTime.parse(given.replace(' ', '+')).toInstant();
            // fails for a year that milliseconds cannot represent
            return Instant.ofEpochMilli(time.toEpochMilli());
        } catch (DateTimeException | ArithmeticException _) {
            throw new ApiException(JobFailure.invalid(
                    parameter,
                    "expected RFC 3339 such as 2026-11-21T10:00:00Z, or " + Durations.EXAMPLE + " before now"));
        }
    }

    static Queries.@Nullable Cursor after(@Nullable String given) {
        return given == null
                ? null
                : Queries.Cursor.parse(given)
                        .orElseThrow(() -> new ApiException(JobFailure.invalid("after", "is no cursor of this list")));
    }

    static int limit(@Nullable String given) {
        if (given == null) {
            return DEFAULT_LIMIT;
        }
        if (!given.matches("\\d{1,3}") || Integer.parseInt(given) < 1 || Integer.parseInt(given) > MOST) {
            throw new ApiException(JobFailure.invalid("limit", "expected 1 to " + MOST));
        }
        return Integer.parseInt(given);
    }
}
