package dev.penstock.route.match;

import dev.penstock.job.Priority;
import dev.penstock.job.PromptJob;
import dev.penstock.route.Targets;
import dev.penstock.settings.Rule;
import org.jspecify.annotations.Nullable;

/**
 * The decision about one job.
 *
 * @param rule the rule that matches; {@link Rule#NONE} if none does
 * @param targets where the rule sends this job
 */
public record Decision(Rule rule, Targets targets) {
    /** No rule matches. */
    public static final Decision NONE = new Decision(Rule.NONE, Targets.NONE);

    /** Returns the model or profile with which the job runs; null if neither the rule nor the job names one. */
    public @Nullable String model(@Nullable String own) {
        return rule.set().model() == null ? own : rule.set().model();
    }

    /** Returns the priority with which the job waits for a node. */
    public Priority priority(PromptJob job) {
        Priority set = rule.set().priority();
        return set == null ? job.priority() : set;
    }
}
