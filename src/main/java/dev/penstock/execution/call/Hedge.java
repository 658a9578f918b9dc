package dev.penstock.execution.call;

import dev.penstock.node.Node;
import dev.penstock.schedule.Admission;
import dev.penstock.settings.Rule;
import java.time.Duration;
import java.util.Optional;
import java.util.function.Supplier;

/**
 * When an attempt asks a second node, and which one.
 *
 * @param afterNanos the time without a first token; {@link #NEVER} has no such time
 * @param spare takes a free slot of another node at once; empty if there is none
 */
public record Hedge(long afterNanos, Supplier<Optional<Admission.Granted>> spare) {
    public static final Hedge NEVER = new Hedge(Long.MAX_VALUE, Optional::empty);

    /** The least number of a node's answers before its 95th percentile counts. */
    static final int LEAST = 20;

    private static final double SLOW = 0.95;

    /** Returns the hedge of a rule for an attempt at a node. */
    public static Hedge of(Rule.Hedge rule, Node node, Supplier<Optional<Admission.Granted>> spare) {
        Long slow = node.pace().firstTokenMillis(SLOW, LEAST);
        return rule.after()
                .or(() -> Optional.ofNullable(slow).map(Duration::ofMillis))
                .map(after -> new Hedge(after.toNanos(), spare))
                .orElse(NEVER);
    }

    /** Returns whether the attempt may ask a second node. */
    public boolean isOn() {
        return afterNanos != Long.MAX_VALUE;
    }
}
