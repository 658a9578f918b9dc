package dev.penstock.job;

import java.time.Instant;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * The reason why a job does not run now.
 *
 * @param message one sentence for clients and operators
 * @param since when the wait for this reason began, if it is known
 */
public record Waiting(Code code, String message, Instant since) {
    /** What a job waits for. */
    public enum Code {
        /** A free slot at a node that is up. */
        SLOT,
        /** A node that may serve it; all of them are down. */
        NODE_DOWN,
        /** A node that loads or fetches its model. */
        NODE_LOADING,
        /** A node with its model. No node lists the model, and a node that Penstock has not reached yet may have it. */
        MODEL_UNKNOWN,
        /** Its turn: it made room for other jobs, or a drain handed it back. */
        DEFERRED,
        /** Its turn in quarantine: earlier runs of it crashed, so it runs with few other jobs or alone. */
        QUARANTINED,
        /** The outcome of another record with the same id. */
        DUPLICATE,
        /** A node: there is none. */
        NO_NODE;

        private final String wireName = name().toLowerCase(Locale.ROOT);

        public String wireName() {
            return wireName;
        }

        public static Optional<Code> of(String wireName) {
            return Stream.of(values())
                    .filter(code -> code.wireName.equals(wireName))
                    .findFirst();
        }
    }
}
