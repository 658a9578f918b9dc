package dev.penstock.job;

import java.time.Instant;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What is known of a job by now, as a reader is shown it.
 *
 * @param status {@code queued}, {@code running}, or its outcome; never {@code rejected}
 * @param model the node's once it started, before that the one that was asked for
 * @param createdAt the time of its record
 * @param startedAt of the first attempt
 * @param attempts how many have begun
 */
public record JobState(
        JobId id,
        Status status,
        Task task,
        @Nullable String model,
        Priority priority,
        String tenant,
        Instant createdAt,
        @Nullable Instant startedAt,
        @Nullable Instant finishedAt,
        int attempts,
        @Nullable String node,
        @Nullable String backend,
        Map<String, String> metadata) {

    /** A job that was just accepted. */
    public static JobState queued(PromptJob job, Instant acceptedAt) {
        return new JobState(
                job.id(),
                Status.QUEUED,
                job.task(),
                job.model(),
                job.priority(),
                job.tenant(),
                acceptedAt,
                null,
                null,
                0,
                null,
                null,
                job.metadata());
    }

    /** Where a job is in its life. */
    public enum Status {
        QUEUED,
        RUNNING,
        COMPLETED,
        FAILED,
        CANCELLED,
        EXPIRED,
        /** An id that has only refused records. */
        REJECTED;

        private final String wireName = name().toLowerCase(Locale.ROOT);

        public String wireName() {
            return wireName;
        }

        public boolean isOver() {
            return this != QUEUED && this != RUNNING;
        }

        /** By the reading rule: nothing read is queued, an outcome is its own status. */
        public static Status of(Reading reading) {
            EventMark.Kind outcome = reading.outcome();
            if (outcome == null) {
                return reading.attempt() < 0 ? QUEUED : RUNNING;
            }
            return switch (outcome) {
                case COMPLETED -> COMPLETED;
                case FAILED -> FAILED;
                case CANCELLED -> CANCELLED;
                case EXPIRED -> EXPIRED;
                case STARTED, CHUNK, REJECTED -> throw new IllegalArgumentException("no outcome: " + outcome);
            };
        }
    }
}
