package dev.penstock.job;

import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A valid and complete job, parsed from a record or a submission.
 *
 * @param task the kind of work that the body requests
 * @param model the name of a profile or of a model; null for the default profile or, if there is none, the node's first
 *     model
 * @param stream whether the job's reader wants chunk events
 * @param metadata the client's metadata, which {@code started} and the outcome contain too
 * @param acceptedAt the record's timestamp
 * @param timeout the longest running time, from the first {@code started}
 * @param deadline the time after which the job ends {@code expired}; null for none
 * @param pins the pool and the node at which the job may run
 * @param session the name of the job's session; null for none. The jobs of a session run at the same node while it is up
 * @param maxAttempts the number of failed attempts at which the job fails; null for the limit of the service
 * @param result the form that the answer must have; null for any answer
 * @param webhook the name of the webhook that gets the outcome; null for none
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
        @Nullable String session,
        @Nullable Integer maxAttempts,
        @Nullable ResultRule result,
        @Nullable String webhook,
        Map<String, Object> body) {

    /** The pool and the node that the job asks for. If one is null, the router chooses it. */
    public record Pins(@Nullable String pool, @Nullable String node) {
        public static final Pins NONE = new Pins(null, null);
    }

    /**
     * The form that the answer of a job must have.
     *
     * @param schema a valid JSON schema, as JSON
     * @param repairs how many times the model is asked again after an answer that does not fit
     * @param trustsNode whether an answer is not checked if its node makes the model follow the schema
     */
    public record ResultRule(String schema, int repairs, boolean trustsNode) {
        /** The largest number of repairs. */
        public static final int MOST_REPAIRS = 2;

        public ResultRule {
            if (repairs < 0 || repairs > MOST_REPAIRS) {
                throw new IllegalArgumentException("repairs must be between 0 and " + MOST_REPAIRS);
            }
        }
    }

    /** Returns the size of the prompt, without media. */
    public PromptSize promptSize() {
        return PromptSize.of(body);
    }

    /** Returns whether a message of a chat instructs the model, and is no part of the conversation. */
    public static boolean isOfSystem(@Nullable Object message) {
        return message instanceof Map<?, ?> fields
                && ("system".equals(fields.get("role")) || "developer".equals(fields.get("role")));
    }

    /** Returns the same job with another request. */
    public PromptJob with(Map<String, Object> other) {
        return with(result, other);
    }

    /** Returns the same job with a rule for its answer. */
    public PromptJob with(ResultRule rule) {
        return with(rule, body);
    }

    private PromptJob with(@Nullable ResultRule rule, Map<String, Object> other) {
        return new PromptJob(
                id,
                task,
                model,
                stream,
                metadata,
                priority,
                tenant,
                acceptedAt,
                timeout,
                deadline,
                pins,
                session,
                maxAttempts,
                rule,
                webhook,
                other);
    }

    public PromptJob {
        metadata = Map.copyOf(metadata);
        if (timeout.isNegative() || timeout.isZero()) {
            throw new IllegalArgumentException("timeout must be positive");
        }
        if (maxAttempts != null && maxAttempts < 1) {
            throw new IllegalArgumentException("max_attempts must be at least 1");
        }
    }
}
