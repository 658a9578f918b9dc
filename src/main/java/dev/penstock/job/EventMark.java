package dev.penstock.job;

import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.ThreadLocalRandom;

/**
 * What the reading rule needs of an event; it stands in the headers of the record, so that no value is parsed for it.
 *
 * @param attempt counts from 1 over the job's whole life; 0 for an outcome without any attempt
 * @param run unique to one execution by one worker, over its attempts
 * @param seq counts from 0 without gaps within an attempt
 */
public record EventMark(Kind kind, int attempt, String run, long seq) {

    private static final int RUN_LENGTH = 10;

    /** A name for one execution by one worker, or for an outcome that no execution led to. */
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
        /** A refused record; outside the life of the job with that id. */
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
