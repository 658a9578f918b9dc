package dev.penstock.api;

import dev.penstock.job.JobFailure;
import dev.penstock.job.JobState;
import dev.penstock.ledger.Queries;
import java.util.Arrays;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** The parameters of a list of jobs. */
final class ListParameters {
    private static final int DEFAULT_LIMIT = 20;
    private static final int MOST = 100;

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

    /** A name to filter by; no job has one with control characters, and a database may not take them. */
    static @Nullable String name(String parameter, @Nullable String given) {
        if (given != null && given.chars().anyMatch(Character::isISOControl)) {
            throw new ApiException(JobFailure.invalid(parameter, "expected a name on one line"));
        }
        return given;
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
