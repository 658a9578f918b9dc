package dev.penstock.job;

import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.ThreadLocalRandom;

/**
 * The properties of an event that the reading rule needs. The record's headers have these properties, so the reading
 * rule parses no value.
 *
 * @param attempt the number of the attempt, counted from 1 over the whole life of the job; 0 for an outcome without any
 *     attempt
 * @param run the id of the run, which covers all attempts by one replica
 * @param seq the event's number within its attempt, counted from 0 without gaps
 */
public record EventMark(Kind kind, int attempt, String run, long seq) {

    private static final int RUN_LENGTH = 10;

    /** Returns a new id for a run, or for an outcome without a run. */
    public static String newRun() {
        StringBuilder run = new StringBuilder(RUN_LENGTH);
        for (int i = 0; i < RUN_LENGTH; i++) {
            run.append(Character.forDigit(ThreadLocalRandom.current().nextInt(36), 36));
        }
        return run.toString();
    }

    /** The kinds of events. */
    public enum Kind {
        STARTED,
        CHUNK,
        COMPLETED,
        FAILED,
        CANCELLED,
        EXPIRED,
        /** A record was refused. This event does not belong to the job with the same id. */
        REJECTED;

        private final String wireName = name().toLowerCase(Locale.ROOT);

        public boolean isOutcome() {
            return switch (this) {
                case COMPLETED, FAILED, CANCELLED, EXPIRED -> true;
                case STARTED, CHUNK, REJECTED -> false;
            };
        }

        public String wireName() {
            return wireName;
        }

        public static Optional<Kind> of(String wireName) {
            return switch (wireName) {
                case "started" -> Optional.of(STARTED);
                case "chunk" -> Optional.of(CHUNK);
                case "completed" -> Optional.of(COMPLETED);
                case "failed" -> Optional.of(FAILED);
                case "cancelled" -> Optional.of(CANCELLED);
                case "expired" -> Optional.of(EXPIRED);
                case "rejected" -> Optional.of(REJECTED);
                default -> Optional.empty();
            };
        }
    }
}
