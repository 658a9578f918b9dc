package dev.penstock.job;

import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.ThreadLocalRandom;

/**
 * The properties of an event that the reading rule needs. They are in the headers of the record, so the rule parses
 * no value.
 *
 * @param attempt counts from 1 over the whole life of the job; 0 for an outcome without any attempt
 * @param run identifies one run by one replica, over all its attempts
 * @param seq counts from 0 without gaps within an attempt
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

    /** The names of events. */
    public enum Kind {
        STARTED,
        CHUNK,
        COMPLETED,
        FAILED,
        CANCELLED,
        EXPIRED,
        /** A refused record. It is outside the life of the job with that id. */
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
