package dev.penstock.job;

import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A valid job: parsed at the edge, never half-filled inside.
 *
 * @param task what the body asks for
 * @param model a profile, else a model name; null: the default profile, else the node's own first model
 * @param stream whether chunk events are wanted
 * @param metadata comes back on {@code started} and the outcome
 * @param acceptedAt the record's timestamp
 * @param timeout the running time, from the first {@code started}
 * @param deadline past it the job ends {@code expired}; null: none
 * @param pins where it may run
 * @param maxAttempts how many attempts a node may fail
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

    /** Where a job may run, by its own wish; null: the routing rules decide. */
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
