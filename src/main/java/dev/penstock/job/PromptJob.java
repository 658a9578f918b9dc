package dev.penstock.job;

import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A valid, complete job. The readers at the edge create it.
 *
 * @param task what the body asks for
 * @param model a profile, else a model name; null for the default profile, else the node's own first model
 * @param stream whether the reader wants chunk events
 * @param metadata comes back on {@code started} and the outcome
 * @param acceptedAt the record's timestamp
 * @param timeout the running time, from the first {@code started}
 * @param deadline after it the job ends {@code expired}; null for none
 * @param pins where it may run
 * @param maxAttempts the number of failed attempts at which the job fails
 * @param body the OpenAI request body as plain maps, lists, strings, numbers and booleans, without {@code job} and
 *     {@code metadata}
 */
public record PromptJob(
        JobId id,
        Task task,
        @Nullable String model,
        boolean stream,
        Map<String, String> metadata,
        Priority priority,
        String tenant,
        Instant acceptedAt,
        Duration timeout,
        @Nullable Instant deadline,
        Pins pins,
        int maxAttempts,
        Map<String, Object> body) {

    /** The pool and the node that the job asks for; null leaves the choice to the routing rules. */
    public record Pins(@Nullable String pool, @Nullable String node) {
        public static final Pins NONE = new Pins(null, null);
    }

    public PromptJob {
        metadata = Map.copyOf(metadata);
        if (timeout.isNegative() || timeout.isZero()) {
            throw new IllegalArgumentException("timeout must be positive");
        }
        if (maxAttempts < 1) {
            throw new IllegalArgumentException("max_attempts must be at least 1");
        }
    }
}
