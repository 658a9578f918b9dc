package dev.penstock.job;

import java.time.Instant;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The current state of a job, as readers see it.
 *
 * @param status {@code queued}, {@code running}, or the job's outcome; never {@code rejected}
 * @param model the requested model before the job's start, and the node's model after it
 * @param createdAt the time of the job's record
 * @param startedAt the start of the first attempt
 * @param attempts the number of attempts that have begun
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

    /** Returns the state of a job that was just accepted. */
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

    /** The phase of a job's life. */
    public enum Status {
        QUEUED,
        RUNNING,
        COMPLETED,
        FAILED,
        CANCELLED,
        EXPIRED,
        /** All records with this id were refused. */
        REJECTED;

        private final String wireName = name().toLowerCase(Locale.ROOT);

        public String wireName() {
            return wireName;
        }

        public boolean isOver() {
            return this != QUEUED && this != RUNNING;
        }

        /**
         * Returns the status by the reading rule. A job without events is queued. The status of an ended job is its
         * outcome.
         */
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
