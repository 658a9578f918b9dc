package dev.penstock.job;

import java.time.Instant;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * Why a job does not run now.
 *
 * @param message one sentence for whoever waits
 * @param since when that began, as far as is known
 */
public record Waiting(Code code, String message, Instant since) {
    /** What a job waits for. */
    public enum Code {
        /** A free slot at a node that is up. */
        SLOT,
        /** All nodes that may serve it are down. */
        NODE_DOWN,
        /** A node that loads or fetches its model. */
        NODE_LOADING,
        /** No node lists its model, and a node that has not been reached may have it. */
        MODEL_UNKNOWN,
        /** It made room for others, or was handed back. */
        DEFERRED,
        /** Runs of it ended together with their process: it runs apart from others. */
        QUARANTINED,
        /** Another record of the same job. */
        DUPLICATE,
        /** There is no node. */
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
