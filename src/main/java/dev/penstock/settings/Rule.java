package dev.penstock.settings;

import dev.penstock.job.Priority;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;

/**
 * One routing rule.
 *
 * @param name the name in metrics, messages and {@code POST /v1/route}
 * @param when the jobs that the rule matches
 * @param to the pools and nodes in order; if there are none, the job may use all pools in their fixed order
 * @param set the changes to the job's request
 * @param timeouts the timeouts that replace those of the node; {@code connect} is always empty
 * @param retries the limits that replace those of the service
 * @param placing which nodes of the targets come first
 * @param handling how an attempt gives way to another one
 */
public record Rule(
        String name,
        Conditions when,
        List<Target> to,
        Change set,
        NodeSettings.OwnTimeouts timeouts,
        OwnRetries retries,
        Placing placing,
        Handling handling) {
    /** The name in metrics of jobs that no rule matches. No rule has it. */
    public static final String NO_NAME = "none";

    /** Applies to a job that no rule matches. It changes nothing. */
    public static final Rule NONE = new Rule(
            NO_NAME,
            Conditions.ANY,
            List.of(),
            Change.NOTHING,
            NodeSettings.OwnTimeouts.NONE,
            OwnRetries.NONE,
            Placing.USUAL,
            Handling.NONE);

    public Rule {
        to = List.copyOf(to);
    }

    /** Returns whether this stands for a job that no rule matches. */
    public boolean isNone() {
        return name.equals(NO_NAME);
    }

    /**
     * The changes to a job's request.
     *
     * @param model the model or profile in place of the job's own; null for the job's own
     * @param priority the priority with which the job waits for a node; null for the job's own
     * @param parameters the values of fields that the job does not set; they override those of the node
     */
    public record Change(@Nullable String model, @Nullable Priority priority, Map<String, Object> parameters) {
        public static final Change NOTHING = new Change(null, null, Map.of());

        public Change {
            parameters = Map.copyOf(parameters);
        }
    }

    /**
     * How an attempt gives way to another one.
     *
     * @param continuing when an attempt continues a published text; empty for the service's setting
     * @param hedge when a second node is asked; empty if never
     * @param preempts whether a job of this rule may stop a running job of lower priority
     */
    public record Handling(Optional<Settings.Continuing> continuing, Optional<Hedge> hedge, boolean preempts) {
        public static final Handling NONE = new Handling(Optional.empty(), Optional.empty(), false);

        public Settings.Continuing continuing(Settings.Continuing service) {
            return continuing.orElse(service);
        }
    }

    /**
     * When a second node is asked because the first one is silent.
     *
     * @param after the time without a first token; empty for the 95th percentile of the first node
     */
    public record Hedge(Optional<Duration> after) {}

    /** The limits of further attempts. If a limit is empty, the service's limit applies. */
    public record OwnRetries(OptionalInt maxAttempts, Optional<Duration> backoff, Optional<Duration> maxBackoff) {
        public static final OwnRetries NONE = new OwnRetries(OptionalInt.empty(), Optional.empty(), Optional.empty());

        public Settings.Retries over(Settings.Retries service) {
            return new Settings.Retries(
                    maxAttempts.orElse(service.maxAttempts()),
                    backoff.orElse(service.backoff()),
                    maxBackoff.orElse(service.maxBackoff()));
        }
    }
}
