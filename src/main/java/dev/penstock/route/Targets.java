package dev.penstock.route;

import java.util.List;

/**
 * The pools and nodes to which a rule sends a job, in order.
 *
 * @param rule the rule's name; empty if no rule decides, so that all pools follow each other in their fixed order
 * @param names the names of pools and nodes; empty if and only if no rule decides
 */
public record Targets(String rule, List<String> names) {
    /** No rule decides. */
    public static final Targets NONE = new Targets("", List.of());

    public Targets {
        names = List.copyOf(names);
        if (rule.isEmpty() != names.isEmpty()) {
            throw new IllegalArgumentException("a rule and its targets belong together");
        }
    }

    public boolean isNone() {
        return names.isEmpty();
    }

    /** Returns the place of a node in the order; -1 if the rule does not send jobs to the node. */
    int place(String node, String pool) {
        for (int i = 0; i < names.size(); i++) {
            if (names.get(i).equals(pool) || names.get(i).equals(node)) {
                return i;
            }
        }
        return -1;
    }
}
