package dev.penstock.job;

import java.time.Instant;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * The reason why a job does not run now.
 *
 * @param message one sentence for clients and operators
 * @param since the time when the wait for this reason began
 */
public record Waiting(Code code, String message, Instant since) {
    /** The possible reasons why a job waits. */
    public enum Code {
        /** The job waits for a free slot at a node that is up. */
        SLOT,
        /** The job waits for a node that may serve it. All such nodes are down. */
        NODE_DOWN,
        /** The job waits for a node that loads or fetches the job's model. */
        NODE_LOADING,
        /**
         * The job waits for a node with its model. No node lists the model, but a node that Penstock has not reached
         * yet may have it.
         */
        MODEL_UNKNOWN,
        /** The job waits for its turn, after it made room for other jobs or a drain handed it back. */
        DEFERRED,
        /**
         * The job waits for its turn in quarantine. Earlier runs of it crashed, so it runs with few other jobs or
         * alone.
         */
        QUARANTINED,
        /** The record waits for the outcome of another record with the same id. */
        DUPLICATE,
        /** The job waits because an operator has paused its topic, or all nodes that may serve it now. */
        PAUSED,
        /** The job waits because its tenant has reached one of its limits. */
        TENANT_LIMIT,
        /** The job waits for a node, because there is none yet. */
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
